#include "common/config/settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <sstream>

#include "common/base/joined.h"
#include "common/base/utf8.h"
#include "common/base/version.h"

namespace dice {
namespace {

template <typename Number>
std::optional<Number> parse(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string shown(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return {buffer, result.ptr};
}

bool is_standard(const std::string& name) { return name.starts_with("OTEL_"); }

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return text;
}

/// The members of a comma-separated list, trimmed, without empty ones.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> members;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto first = text.find_first_not_of(" \t", at);
    if (first < end) members.push_back(text.substr(first, text.find_last_not_of(" \t", end - 1) + 1 - first));
    at = end + 1;
  }
  return members;
}

constexpr const char* kUrlForm = "http[s]://HOST[:PORT][/PATH]";

bool is_host(const std::string& text) {
  if (text.starts_with('[') && text.ends_with(']')) {
    std::array<std::byte, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET6, text.substr(1, text.size() - 2).c_str(), address.data()) == 1;
  }
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  };
  return !text.empty() && std::ranges::all_of(text, allowed);
}

/// What is wrong with a URL; empty if nothing is.
std::string flaw_of(const std::string& url) {
  const auto start = url.starts_with("http://") ? 7U : url.starts_with("https://") ? 8U : 0U;
  if (start == 0) return "it does not start with http:// or https://";
  const auto authority = url.substr(start, url.find('/', start) - start);
  if (authority.contains('@')) return "it has a user name";
  if (url.find_first_of("?#") != std::string::npos) return "it has a query or a fragment";
  const auto in_url = [](char c) {
    return c > ' ' && c <= '~' && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos;
  };
  if (!std::ranges::all_of(url, in_url)) return "it has a character that a URL cannot have";
  const auto host = authority.substr(0, authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':'));
  if (!is_host(host)) return "its host is not a name or an address";
  const auto port = authority.substr(host.size());
  if (port.empty()) return {};
  const auto number = parse<std::uint16_t>(port.substr(1));
  if (!port.starts_with(':') || number.value_or(0) == 0) return "its port is not a whole number from 1 to 65535";
  return {};
}

/// Without what may be a password.
std::string without_user(std::string url) {
  const auto at = url.rfind('@');
  if (at == std::string::npos) return url;
  const auto slashes = std::min(url.find("//"), url.size());
  const auto start = slashes < at ? slashes + 2 : 0;
  return url.replace(start, at - start, "…");
}

std::string between(const std::string& kind, const std::string& min, const std::string& max) {
  return kind + " from " + min + " to " + max;
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing sets variables
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

std::optional<std::string> Settings::declare(Option option) {
  auto value = environment_(option.name);
  options_.push_back(std::move(option));
  return value;
}

void Settings::error(const std::string& name, const std::string& value, const std::string& allowed,
                     const std::string& why) {
  errors_.push_back(name + ": \"" + printable(value) + "\" is not allowed" + (why.empty() ? "" : ", because ") + why +
                    "; allowed: " + allowed);
}

void Settings::reject(const std::string& name, const std::string& value, const std::string& allowed,
                      const std::string& used, const std::string& why) {
  if (is_standard(name)) warnings_.push_back({name, printable(value), used});
  else error(name, value, allowed, why);
}

std::string Settings::text(const std::string& name, const std::string& default_value, std::string help) {
  return declare({name, default_value, "text", std::move(help)}).value_or(default_value);
}

std::string Settings::url(const std::string& name, const std::string& default_value, std::string help) {
  auto value = declare({name, default_value, kUrlForm, std::move(help)});
  return value && accept_url(name, *value, default_value) ? *value : default_value;
}

std::vector<std::string> Settings::urls(const std::string& name, std::vector<std::string> default_value,
                                        std::string help) {
  const auto any = [](std::string& /*text*/) { return true; };
  auto all = list(name, std::move(default_value), any, kUrlForm, std::move(help));
  std::erase_if(all, [&](std::string& url) { return !accept_url(name, url, ""); });
  return all;
}

bool Settings::accept_url(const std::string& name, std::string& url, const std::string& used) {
  if (const auto flaw = flaw_of(url); !flaw.empty()) {
    reject(name, without_user(url), kUrlForm, used, flaw);
    return false;
  }
  while (url.ends_with('/')) url.pop_back();
  return true;
}

std::int64_t Settings::integer(const std::string& name, std::int64_t default_value, std::int64_t min, std::int64_t max,
                               std::string help) {
  const auto allowed = max == std::numeric_limits<std::int64_t>::max()
                           ? "a whole number of at least " + std::to_string(min)
                           : between("a whole number", std::to_string(min), std::to_string(max));
  const auto text = declare({name, std::to_string(default_value), allowed, std::move(help)});
  if (!text) return default_value;
  const auto value = parse<std::int64_t>(*text);
  if (value && *value >= min && *value <= max) return *value;
  reject(name, *text, allowed, std::to_string(default_value));
  return default_value;
}

double Settings::number(const std::string& name, double default_value, double min, double max, std::string help) {
  const auto allowed = between("a number", shown(min), shown(max));
  const auto text = declare({name, shown(default_value), allowed, std::move(help)});
  if (!text) return default_value;
  const auto value = parse<double>(*text);
  if (value && std::isfinite(*value) && *value >= min && *value <= max) return *value;
  reject(name, *text, allowed, shown(default_value));
  return default_value;
}

bool Settings::flag(const std::string& name, bool default_value, std::string help) {
  const std::string allowed = "true, false";
  const auto text = declare({name, default_value ? "true" : "false", allowed, std::move(help)});
  if (!text) return default_value;
  const auto value = is_standard(name) ? lower(*text) : *text;
  if (value == "true" || value == "false") return value == "true";
  reject(name, *text, allowed, "false");
  return is_standard(name) ? false : default_value;
}

std::string Settings::choice(const std::string& name, const std::string& default_value,
                             const std::vector<std::string>& allowed, std::string help) {
  const auto text = declare({name, default_value, joined(allowed, ", "), std::move(help)});
  if (!text) return default_value;
  auto value = is_standard(name) ? lower(*text) : *text;
  if (std::ranges::find(allowed, value) != allowed.end()) return value;
  reject(name, *text, joined(allowed, ", "), default_value);
  return default_value;
}

std::vector<std::string> Settings::choices(const std::string& name, const std::string& default_value,
                                           const std::vector<std::string>& allowed, std::string help) {
  const auto text = declare({name, default_value, "a list of " + joined(allowed, ", "), std::move(help)});
  if (!text) return split(default_value);
  std::vector<std::string> known;
  bool all_known = true;
  for (const auto& member : split(lower(*text))) {
    if (std::ranges::find(allowed, member) == allowed.end()) all_known = false;
    else if (std::ranges::find(known, member) == known.end()) known.push_back(member);
  }
  if (known.empty()) known = split(default_value);
  if (!all_known) reject(name, *text, joined(allowed, ", "), joined(known, ", "));
  return known;
}

std::vector<std::string> Settings::list(const std::string& name, std::vector<std::string> default_value,
                                        const std::function<bool(std::string&)>& element, const std::string& allowed,
                                        std::string help) {
  const auto text = declare({name, joined(default_value, ","), allowed, std::move(help)});
  if (!text) return default_value;
  std::vector<std::string> elements;
  std::istringstream stream(*text);
  for (std::string one; std::getline(stream, one, ',');) {
    if (element(one)) elements.push_back(one);
    else error(name, one, allowed);
  }
  return elements;
}

std::string Settings::help(const std::function<std::string(const std::string&)>& label) const {
  std::string text;
  for (const auto& option : options_) {
    text += "  " + label(option.name) + " = " + (option.default_value.empty() ? "(unset)" : option.default_value) +
            "\n      " + option.help + "\n      " + option.allowed + "\n";
  }
  return text;
}

std::optional<int> Settings::finish(int argc, const char* const* argv, std::string_view about,
                                    const std::function<int()>& healthcheck) const {
  const std::string_view argument = argc > 1 ? argv[1] : "";
  if (argument == "--version") {
    std::cout << version << " (" << commit << ")\n";
    return 0;
  }
  if (argument == "--help" || argument == "-h") {
    std::cout << about << "\n\nAll settings are environment variables:\n\n" << help(std::identity());
    return 0;
  }
  if (argc > 1 && argument != "--healthcheck") {
    std::cerr << "unknown argument \"" << printable(argument) << "\"; allowed: --healthcheck, --help, --version\n";
    return 2;
  }
  for (const auto& error : errors_) std::cerr << error << "\n";
  if (!errors_.empty()) return 2;
  if (argc > 1) return healthcheck();
  return std::nullopt;
}

}  // namespace dice
