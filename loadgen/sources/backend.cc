#include "loadgen/sources/backend.h"

namespace dice::loadgen {

Client::Options backend_options(const std::string& kind, const std::string& url) {
  constexpr std::size_t kMaxAnswer = 64UL << 20U;
  return {.base_url = url,
          .name = kind + " at " + url,
          .connect_timeout = kBackendConnectTimeout,
          .unacknowledged = kBackendConnectTimeout,
          .max_body_bytes = kMaxAnswer};
}

std::expected<std::string, SourceError> get(Client& client, const std::string& path,
                                            std::vector<std::pair<std::string, std::string>> headers) {
  auto response =
      client.get({.path = path, .route = path, .timeout = kSourceTimeout, .headers = std::move(headers)}, nullptr);
  if (!response) return std::unexpected(response.error().message);
  if (response->status != 200) return std::unexpected(unexpected_answer(*response));
  return std::move(response->body);
}

SourceError unexpected_answer(const ClientResponse& response) {
  return "status " + std::to_string(response.status) + ": " + response.body.substr(0, 200);
}

std::chrono::system_clock::duration unix_time() { return std::chrono::system_clock::now().time_since_epoch(); }

}  // namespace dice::loadgen
