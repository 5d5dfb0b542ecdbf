// Serves the files of the web page.
#pragma once

#include <string_view>

#include "common/service.h"

namespace dice {

/// Whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3). Without the header, any coding is allowed,
/// but not every such client can decode it.
bool accepts_gzip(std::string_view accept_encoding);

/// Adds a route for each file.
void add_page(Service& service);

}  // namespace dice
