#include "common/http/server.h"

#include <pistache/endpoint.h>
#include <pistache/peer.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/utf8.h"

namespace dice {
namespace {

namespace px = Pistache;

using std::chrono::steady_clock;

/// Longest time for a request to arrive whole, to be answered, and between requests of a connection.
constexpr std::chrono::minutes kPatience{5};
constexpr int kBacklog = 1024;
constexpr std::string_view kUnmatched = "_unmatched";
constexpr std::size_t kLongestBaggage = 8192;  // W3C Baggage, section 3.3.2
constexpr std::size_t kLongestState = 512;     // W3C Trace Context, section 3.3.1.5

std::string_view name_of(Method method) {
  switch (method) {
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::get: break;
  }
  return "GET";
}

std::string header(const px::Http::Request& request, const std::string& name) {
  const auto raw = request.headers().tryGetRaw(name);
  return raw ? raw->value() : std::string();
}

/// To be sent on as it is: one line of printable ASCII.
std::string passable(std::string value, std::size_t longest) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (value.size() > longest || !std::ranges::all_of(value, printable)) value.clear();
  return value;
}

TraceContext parent_of(const px::Http::Request& request) {
  const auto traceparent = header(request, "traceparent");
  auto parent = parse_traceparent(traceparent).value_or(TraceContext{});
  if (parent.valid()) parent.state = passable(header(request, "tracestate"), kLongestState);
  parent.baggage = passable(header(request, "baggage"), kLongestBaggage);
  return parent;
}

/// Pistache reads "abc" as 0.
bool has_valid_length(const px::Http::Request& request) {
  const auto length = header(request, "Content-Length");
  return std::ranges::all_of(length, [](char c) { return c >= '0' && c <= '9'; });
}

bool closes(const px::Http::Request& request) {
  if (request.version() == px::Http::Version::Http10) return true;
  const auto connection = request.headers().tryGet<px::Http::Header::Connection>();
  return connection && connection->control() == px::Http::ConnectionControl::Close;
}

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

/// Pistache writes only headers of classes that it knows; this one is any header.
class PlainHeader final : public px::Http::Header::Header {
 public:
  PlainHeader(std::string name, std::string value) : name_(std::move(name)), value_(std::move(value)) {}

  const char* name() const override { return name_.c_str(); }
  void write(std::ostream& stream) const override { stream << value_; }
#ifdef SAFE_HEADER_CAST
  uint64_t hash() const override { return std::hash<std::string>()(name_); }
#endif

 private:
  const std::string name_;
  const std::string value_;
};

/// The open connections, to end them from any thread: Pistache closes none by itself, neither after `Connection: close`
/// nor when it stops. Ending both directions makes its I/O thread see the end and clean up.
class Connections {
 public:
  void add(const std::shared_ptr<px::Tcp::Peer>& peer) {
    const Lock lock(mutex_);
    peers_[peer->getID()] = peer;
  }

  /// Before the descriptor is closed.
  void remove(const px::Tcp::Peer& peer) {
    const Lock lock(mutex_);
    peers_.erase(peer.getID());
  }

  void end(std::size_t id) {
    const Lock lock(mutex_);
    if (const auto found = peers_.find(id); found != peers_.end()) end(found->second);
  }

  void end_all() {
    const Lock lock(mutex_);
    for (const auto& [id, peer] : peers_) end(peer);
  }

 private:
  static void end(const std::weak_ptr<px::Tcp::Peer>& peer) {
    if (const auto alive = peer.lock()) ::shutdown(alive->fd(), SHUT_RDWR);
  }

  Mutex mutex_;
  std::unordered_map<std::size_t, std::weak_ptr<px::Tcp::Peer>> peers_ GUARDED_BY(mutex_);
};

/// Counts a request until its reply is on the wire, or can't be.
class InFlight {
 public:
  explicit InFlight(std::atomic<std::size_t>& count) : count_(count) { count_.fetch_add(1); }
  ~InFlight() { count_.fetch_sub(1); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

}  // namespace

// --- one request -----------------------------------------------------------------------------------------------------

struct Exchange {
  Exchange(Server::Implementation& server_, px::Http::ResponseWriter writer_, std::atomic<std::size_t>& in_flight_)
      : server(server_), writer(std::move(writer_)), in_flight(std::make_shared<InFlight>(in_flight_)) {}

  Server::Implementation& server;
  px::Http::ResponseWriter writer;
  std::shared_ptr<InFlight> in_flight;
  steady_clock::time_point start = steady_clock::now();
  HttpMetrics::ForRoute* metrics = nullptr;
  std::string method;
  std::string route;
  Request request;
  Span span;
  /// The span's, or for a quiet route one that nothing stands behind.
  TraceContext trace;
  bool quiet = false;
  bool close = false;
  bool faulted = false;
};

struct Server::Implementation {
  struct Entry {
    Route route;
    std::vector<std::string> segments;
    HttpMetrics::ForRoute* metrics = nullptr;
  };

  class PistacheHandler;

  HttpMetrics::ForRoute& metrics_for(const std::string& method, const std::string& route) {
    const Lock lock(mutex);
    auto& slot = by_route[{method, route}];
    if (!slot) slot = std::make_unique<HttpMetrics::ForRoute>(metrics, method, route);
    return *slot;
  }

  /// The routes of a path, whatever their method, and the path's parameters.
  std::vector<const Entry*> match(std::string_view path, std::map<std::string, std::string>& parameters) const;
  void receive(const px::Http::Request& incoming, std::unique_ptr<Exchange> exchange);
  void refuse(std::unique_ptr<Exchange> exchange, ErrorCode code);
  void start_span(Exchange& exchange, const TraceContext& parent, const px::Http::Request& incoming);
  void dispatch(Responder responder, const Entry& entry);
  void call(Responder responder, const Entry& entry);
  /// Exceptions end here.
  Result run(const Handler& handler, const Request& request) const;
  void send(std::unique_ptr<Exchange> exchange, Result result);

  Options options;
  Telemetry& telemetry;
  const Logger log;
  HttpMetrics& metrics;
  ThreadPool& workers;
  Clock& clock;
  Faults* faults;
  std::atomic<std::size_t> in_flight = 0;
  Connections connections{};
  std::atomic<bool> draining = false;
  std::atomic<bool> refusing = false;
  std::vector<std::unique_ptr<Entry>> entries{};
  std::unordered_map<std::string, std::vector<const Entry*>> by_path{};
  Mutex mutex{};
  std::map<std::pair<std::string, std::string>, std::unique_ptr<HttpMetrics::ForRoute>> by_route GUARDED_BY(mutex){};
  std::unique_ptr<px::Http::Endpoint> endpoint{};
};

/// One copy for each I/O thread. Pistache's own `onInput` answers a malformed request with 500 and the text of the
/// exception, and asks for the connection to be closed after every request without a Connection header; this one does
/// neither.
class Server::Implementation::PistacheHandler final : public px::Http::Handler {
 public:
  HTTP_PROTOTYPE(PistacheHandler)

  explicit PistacheHandler(Implementation& server) : server_(server) {}
  PistacheHandler(const PistacheHandler& other) : px::Http::Handler(other), server_(other.server_) {}

  void onRequest(const px::Http::Request& /*request*/, px::Http::ResponseWriter /*response*/) override {}

 private:
  void onInput(const char* buffer, std::size_t length, const std::shared_ptr<px::Tcp::Peer>& peer) override {
    if (!closing_.empty() && closing_.contains(peer->getID())) return;
    const auto parser = getParser(peer);
    auto refusal = ErrorCode::payload_too_large;
    try {
      if (parser->feed(buffer, length)) {
        refusal = ErrorCode::malformed_request;
        if (parser->parse() != px::Http::Private::State::Done) {
          // A line has ended, and Pistache still looks for the end of the request line: it would look for ever.
          const bool stuck = parser->step()->id() == px::Http::Private::RequestLineStep::Id &&
                             std::string_view(buffer, length).find('\n') != std::string_view::npos;
          if (!stuck) return;
          throw px::Http::HttpError(px::Http::Code::Bad_Request, "");
        }
        if (!has_valid_length(parser->request)) throw px::Http::HttpError(px::Http::Code::Bad_Request, "");
        auto exchange = begin(parser->request, peer);
        peer->setIdle(false);
        server_.receive(parser->request, std::move(exchange));
        parser->reset();
        return;
      }
    } catch (const px::Http::HttpError& error) {
      if (error.code() == status_of(ErrorCode::payload_too_large)) refusal = ErrorCode::payload_too_large;
    } catch (const std::exception&) {  // std::stoull's, for one: what Pistache's parser lets through
    }
    closing_.insert(peer->getID());
    server_.refuse(begin(parser->request, peer), refusal);
    parser->reset();
  }

  void onConnection(const std::shared_ptr<px::Tcp::Peer>& peer) override {
    peer->putData(ParserData, std::make_shared<px::Http::RequestParser>(getMaxRequestSize()));
    server_.connections.add(peer);
  }

  void onDisconnection(const std::shared_ptr<px::Tcp::Peer>& peer) override {
    server_.connections.remove(*peer);
    closing_.erase(peer->getID());
  }

  std::unique_ptr<Exchange> begin(const px::Http::Request& request, const std::shared_ptr<px::Tcp::Peer>& peer) {
    return std::make_unique<Exchange>(server_, px::Http::ResponseWriter(request.version(), transport(), this, peer),
                                      server_.in_flight);
  }

  Implementation& server_;
  /// Connections whose further input is noise.
  std::unordered_set<std::size_t> closing_;
};

std::vector<const Server::Implementation::Entry*> Server::Implementation::match(
    std::string_view path, std::map<std::string, std::string>& parameters) const {
  if (const auto found = by_path.find(std::string(path)); found != by_path.end()) return found->second;
  const auto parts = segments(path);
  std::vector<const Entry*> matches;
  for (const auto& entry : entries) {
    std::map<std::string, std::string> values;
    const auto fits = [&values](const std::string& wanted, std::string_view part) {
      if (!is_parameter(wanted)) return wanted == part;
      auto value = percent_decode(part, false);
      if (!value || value->empty()) return false;
      values[wanted.substr(1, wanted.size() - 2)] = std::move(*value);
      return true;
    };
    if (std::ranges::equal(entry->segments, parts, fits)) {
      matches.push_back(entry.get());
      parameters = std::move(values);
    }
  }
  return matches;
}

void Server::Implementation::start_span(Exchange& exchange, const TraceContext& parent,
                                        const px::Http::Request& incoming) {
  if (exchange.quiet) {
    exchange.trace = telemetry.tracing.untraced(parent);
    return;
  }
  const auto name = exchange.route == kUnmatched ? exchange.method : exchange.method + " " + exchange.route;
  exchange.span = telemetry.tracing.start(name, SpanKind::server, parent,
                                          {{"http.request.method", exchange.method},
                                           {"url.path", exchange.request.path},
                                           {"url.scheme", std::string_view("http")}});
  if (exchange.route != kUnmatched) exchange.span.set("http.route", exchange.route);
  if (const auto host = incoming.headers().tryGet<px::Http::Header::Host>()) {
    exchange.span.set("server.address", to_utf8(host->host()));
    exchange.span.set("server.port", static_cast<std::int64_t>(static_cast<std::uint16_t>(host->port())));
  }
  exchange.trace = exchange.span.context();
}

void Server::Implementation::receive(const px::Http::Request& incoming, std::unique_ptr<Exchange> exchange) {
  auto& request = exchange->request;
  request.path = to_utf8(incoming.resource());
  request.span = &exchange->span;
  exchange->method = px::Http::methodString(incoming.method());
  exchange->close = closes(incoming);

  const auto candidates = match(incoming.resource(), request.path_parameters);
  const Entry* entry = nullptr;
  std::string allow;
  for (const auto* candidate : candidates) {
    const auto method = name_of(candidate->route.method);
    if (method == exchange->method) entry = candidate;
    allow.append(allow.empty() ? "" : ", ").append(method);
  }
  exchange->route = candidates.empty() ? std::string(kUnmatched) : candidates.front()->route.path;
  exchange->quiet = entry != nullptr && entry->route.quiet;
  exchange->metrics = entry != nullptr ? entry->metrics : &metrics_for(exchange->method, exchange->route);
  exchange->metrics->started();
  start_span(*exchange, parent_of(incoming), incoming);

  if (entry == nullptr) {
    const auto path = in_quotes(request.path);
    if (candidates.empty())
      return send(std::move(exchange), std::unexpected(Error{ErrorCode::not_found, "there is no path " + path}));
    return send(std::move(exchange),
                std::unexpected(Error{ErrorCode::method_not_allowed, path + " allows: " + allow, std::nullopt, allow}));
  }
  if (refusing.load(std::memory_order_relaxed) && !exchange->quiet) {
    return send(std::move(exchange), std::unexpected(Error{ErrorCode::not_ready, "stopping", 1}));
  }
  request.method = entry->route.method;
  request.accept = header(incoming, "Accept");
  request.body = incoming.body();
  const auto& query = incoming.query();
  for (auto it = query.parameters_begin(); it != query.parameters_end(); ++it) {
    auto name = percent_decode(it->first, true);
    auto value = percent_decode(it->second, true);
    if (!name || !value) {
      return send(std::move(exchange),
                  std::unexpected(Error{ErrorCode::invalid_parameter, "parameter " + in_quotes(to_utf8(it->first)) +
                                                                          " is not percent-encoded UTF-8"}));
    }
    if (!name->empty()) request.query.insert_or_assign(std::move(*name), std::move(*value));
  }
  dispatch(Responder(std::move(exchange)), *entry);
}

void Server::Implementation::refuse(std::unique_ptr<Exchange> exchange, ErrorCode code) {
  exchange->method = "_OTHER";  // semantic conventions: a method that is not known
  exchange->route = kUnmatched;
  exchange->close = true;
  exchange->metrics = &metrics_for(exchange->method, exchange->route);
  exchange->metrics->started();
  exchange->trace = telemetry.tracing.untraced({});
  const auto* const message =
      code == ErrorCode::payload_too_large ? "the request is too large" : "not an HTTP/1.1 request";
  send(std::move(exchange), std::unexpected(Error{code, message}));
}

void Server::Implementation::dispatch(Responder responder, const Entry& entry) {
  const auto fault = faults == nullptr || entry.route.quiet ? Faults::Fault{} : faults->next();
  if (!fault.active) return call(std::move(responder), entry);
  auto& exchange = *responder.exchange_;
  exchange.faulted = true;
  exchange.span.set("fault.injected", true);
  auto held = std::make_shared<Responder>(std::move(responder));
  ThreadPool::Task task = [this, held, fault, &entry] {
    clock.sleep(fault.delay, {});
    if (!fault.fails) return call(std::move(*held), entry);
    std::move(*held).send(
        std::unexpected(Error{ErrorCode::fault_injected, "this failure was asked for by PUT /debug/faults"}));
  };
  if (fault.delay <= Seconds(0)) return task();
  if (!workers.try_run(task)) {
    std::move(*held).send(std::unexpected(Error{ErrorCode::overloaded, "too many requests at once", 1}));
  }
}

void Server::Implementation::call(Responder responder, const Entry& entry) {
  if (const auto* async = std::get_if<AsyncHandler>(&entry.route.handler)) {
    try {
      (*async)(std::move(responder));
    } catch (const std::exception& error) {  // the responder has answered 500
      log.log(LogLevel::error, "Handler threw", nullptr, {{"error", std::string_view(error.what())}});
    }
    return;
  }
  auto result = run(std::get<Handler>(entry.route.handler), responder.request());
  std::move(responder).send(std::move(result));
}

Result Server::Implementation::run(const Handler& handler, const Request& request) const {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    log.log(LogLevel::error, "Handler threw", &request.trace(), {{"error", std::string_view(error.what())}});
    return std::unexpected(Error{ErrorCode::internal, "something went wrong on our side"});
  }
}

void Server::Implementation::send(std::unique_ptr<Exchange> exchange, Result result) {
  Response response;
  std::string_view error_code;
  auto& headers = exchange->writer.headers();
  const auto add = [&headers](const std::string& name, const std::string& value) {
    headers.add(std::make_shared<PlainHeader>(name, value));
  };
  if (result) {
    response = std::move(*result);
  } else {
    const auto& error = result.error();
    error_code = dice::name_of(error.code);
    response.status = status_of(error.code);
    response.body = error_body(error, to_hex(exchange->trace.trace_id));
    if (error.retry_after_seconds) add("Retry-After", std::to_string(*error.retry_after_seconds));
    if (!error.allow.empty()) add("Allow", error.allow);
  }
  const bool close = exchange->close || draining.load(std::memory_order_relaxed);
  if (close) headers.add<px::Http::Header::Connection>(px::Http::ConnectionControl::Close);
  add("Content-Type", response.content_type);
  add("traceresponse", to_traceparent(exchange->trace));
  for (const auto& [name, value] : response.headers) add(name, value);
  if (exchange->method == "HEAD") response.body.clear();

  // Recorded before the bytes leave: whoever has the answer finds its telemetry complete.
  const Seconds duration = steady_clock::now() - exchange->start;
  exchange->span.set("http.response.status_code", static_cast<std::int64_t>(response.status));
  if (response.status >= 500) exchange->span.fail(error_code.empty() ? std::to_string(response.status) : error_code);
  exchange->span.end();
  exchange->metrics->finished(response.status, error_code, duration, exchange->trace);
  const auto level = exchange->quiet ? LogLevel::debug : LogLevel::info;
  if (log.enabled(level)) {
    std::vector<Field> fields = {{"method", exchange->method},
                                 {"path", exchange->request.path},
                                 {"route", exchange->route},
                                 {"status", static_cast<std::int64_t>(response.status)},
                                 {"duration", duration.count()}};
    if (!error_code.empty()) fields.push_back({"error_code", error_code});
    if (exchange->faulted) fields.push_back({"fault.injected", true});
    log.log(level, "Request", &exchange->trace, fields);
  }

  const auto peer = exchange->writer.getPeer();
  const auto id = peer ? peer->getID() : 0;
  const auto token = std::move(exchange->in_flight);
  const auto sent = [this, token, id, close](ssize_t) {
    if (close) connections.end(id);
  };
  const auto failed = [token](std::exception_ptr&) {};  // the client has gone
  exchange->writer.send(static_cast<px::Http::Code>(response.status), response.body).then(sent, failed);
}

// --- Responder -------------------------------------------------------------------------------------------------------

Responder::Responder(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
Responder::Responder(Responder&&) noexcept = default;

Responder::~Responder() {
  if (exchange_) {
    std::move(*this).send(std::unexpected(Error{ErrorCode::internal, "something went wrong on our side"}));
  }
}

const Request& Responder::request() const { return exchange_->request; }

void Responder::send(Result result) && {
  auto& server = exchange_->server;
  server.send(std::move(exchange_), std::move(result));
}

void answer_on(ThreadPool& pool, Responder responder, Handler work) {
  const auto held = std::make_shared<Responder>(std::move(responder));
  ThreadPool::Task task = [held, work = std::move(work)] {
    Responder mine = std::move(*held);
    auto result = mine.exchange_->server.run(work, mine.request());
    std::move(mine).send(std::move(result));
  };
  if (!pool.try_run(task)) {
    std::move(*held).send(std::unexpected(Error{ErrorCode::overloaded, "too many requests at once", 1}));
  }
}

// --- Server ----------------------------------------------------------------------------------------------------------

Server::Server(const Options& options, Telemetry& telemetry, HttpMetrics& metrics, ThreadPool& workers, Clock& clock,
               Faults* faults)
    : implementation_(new Implementation{.options = options,
                                         .telemetry = telemetry,
                                         .log = telemetry.log.named(options.logger),
                                         .metrics = metrics,
                                         .workers = workers,
                                         .clock = clock,
                                         .faults = faults}) {}

Server::~Server() { stop(); }

void Server::add(Route route) {
  auto entry = std::make_unique<Implementation::Entry>();
  for (const auto part : segments(route.path)) entry->segments.emplace_back(part);
  entry->metrics = &implementation_->metrics_for(std::string(name_of(route.method)), route.path);
  if (route.path.find('{') == std::string::npos) implementation_->by_path[route.path].push_back(entry.get());
  entry->route = std::move(route);
  implementation_->entries.push_back(std::move(entry));
}

std::expected<std::uint16_t, std::string> Server::start() {
  auto& self = *implementation_;
  using px::Tcp::Options;
  const auto flags = px::Flags<Options>(Options::ReuseAddr) | Options::NoDelay | Options::CloseOnExec;
  try {
    self.endpoint = std::make_unique<px::Http::Endpoint>(px::Address(px::Ipv4::any(), px::Port(self.options.port)));
    self.endpoint->init(px::Http::Endpoint::options()
                            .threads(self.options.io_threads)
                            .flags(flags)
                            .maxRequestSize(self.options.max_request_bytes)
                            .headerTimeout(kPatience)
                            .bodyTimeout(kPatience)
                            .keepaliveTimeout(kPatience));
    // `init` ignores the option for the backlog; this does not.
    self.endpoint->initArgs(static_cast<std::size_t>(self.options.io_threads), flags, self.options.logger, kBacklog);
    auto handler = std::make_shared<Implementation::PistacheHandler>(self);
    handler->setMaxRequestSize(self.options.max_request_bytes);
    self.endpoint->setHandler(handler);
    self.endpoint->serveThreaded();
    return static_cast<std::uint16_t>(self.endpoint->getPort());
  } catch (const std::exception& error) {
    self.endpoint.reset();
    return std::unexpected("port " + std::to_string(self.options.port) + ": " + error.what());
  }
}

void Server::drain() { implementation_->draining = true; }

void Server::refuse() { implementation_->refusing = true; }

std::size_t Server::in_flight() const { return implementation_->in_flight; }

void Server::stop() {
  if (!implementation_->endpoint) return;
  implementation_->connections.end_all();
  implementation_->endpoint->shutdown();
  implementation_->endpoint.reset();
}

}  // namespace dice
