#include "common/http/server.h"

#include <exception>
#include <utility>
#include <variant>

namespace dice {

using std::chrono::steady_clock;

Server::Server(const Options& options, const Surroundings& surroundings)
    : around_(surroundings),
      log_(surroundings.telemetry.log.named(options.logger)),
      spans_(surroundings.telemetry.tracing, options.max_text_bytes),
      metrics_(surroundings.metrics),
      access_log_(log_, options.max_text_bytes),
      faults_(surroundings.faults, surroundings.clock,
              [this](Exchange& exchange) {
                auto answer = call_handler(exchange);
                if (auto* work = std::get_if<Work>(&answer)) return run(exchange, *work);
                return std::get<Result>(std::move(answer));
              }),
      // Requests pass through in this order, replies in reverse order.
      chain_{&spans_, &metrics_, &access_log_, &readiness_, &faults_},
      listener_(options.listener, *this, log_) {}

Server::~Server() { stop(); }

void Server::add(Route route) {
  router_.add(route.method, route.path);
  metrics_.of(route.method, route.path);
  routes_.push_back(std::make_unique<Route>(std::move(route)));
}

std::expected<std::uint16_t, std::string> Server::start() { return listener_.start(); }

Server::ExchangePointer Server::make_exchange(std::shared_ptr<Connection> connection, Request request) {
  return ExchangePointer(new Exchange{.connection = std::move(connection),
                                      .in_flight = Counted(in_flight_),
                                      .arrived = steady_clock::now(),
                                      .request = std::move(request),
                                      .match = {}});
}

void Server::on_request(std::shared_ptr<Connection> connection, Request request) {
  auto exchange = make_exchange(std::move(connection), std::move(request));
  exchange->request.span = &exchange->span;
  exchange->match = router_.match(exchange->request.method, exchange->request.path);
  exchange->request.path_parameters = std::move(exchange->match.parameters);
  if (exchange->match.route != Router::Match::kNone) exchange->route = routes_[exchange->match.route].get();
  begin(std::move(exchange));
}

void Server::on_refusal(std::shared_ptr<Connection> connection, Request request, Error why) {
  auto exchange = make_exchange(std::move(connection), std::move(request));
  exchange->refusal = std::move(why);
  begin(std::move(exchange));
}

void Server::begin(ExchangePointer exchange) {
  std::optional<Answer> answer;
  for (auto* middleware : chain_) {
    ++exchange->passed;
    answer = middleware->before(*exchange);
    if (answer) break;
  }
  if (!answer) answer = call_handler(*exchange);
  if (auto* result = std::get_if<Result>(&*answer)) return finish(std::move(exchange), std::move(*result));
  exchange->work = std::get<Work>(std::move(*answer));
  start_work(std::move(exchange));
}

Answer Server::call_handler(Exchange& exchange) {
  auto& request = exchange.request;
  if (exchange.match.path.empty()) {
    return std::unexpected(Error{ErrorCode::not_found, "there is no path " + in_quotes(request.path)});
  }
  if (exchange.route == nullptr) {
    if (request.method == Method::options) return Response{.status = 204, .headers = {{"Allow", exchange.match.allow}}};
    return std::unexpected(Error{ErrorCode::method_not_allowed,
                                 in_quotes(request.path) + " allows: " + exchange.match.allow, std::nullopt,
                                 exchange.match.allow});
  }
  auto query = parse_query(request.query_text);
  if (!query) return std::unexpected(std::move(query.error()));
  request.query = std::move(*query);
  try {
    return exchange.route->handler(request);
  } catch (const std::exception& error) {
    return handler_threw(exchange, error);
  }
}

void Server::start_work(ExchangePointer exchange) {
  exchange->request.stop = exchange->connection->stop_token();
  if (exchange->request.stop.stop_requested()) {
    exchange->work = nullptr;
    return finish(std::move(exchange), cancelled());
  }
  auto& pool = exchange->uninstrumented() ? around_.uninstrumented_workers : around_.workers;
  // The pool either runs a task or leaves it unchanged: the exchange has one owner at any time.
  auto* const mine = exchange.release();
  ThreadPool::Task task = [this, mine] {
    ExchangePointer owned(mine);
    auto result = run(*owned, owned->work);
    owned->work =
        nullptr;  // release what it captured before replying: the client may send its next request immediately
    finish(std::move(owned), std::move(result));
  };
  if (pool.try_run(task)) return;
  exchange.reset(mine);
  exchange->work = nullptr;
  finish(std::move(exchange), std::unexpected(Error{ErrorCode::overloaded, "too many concurrent requests", 1}));
}

Result Server::run(Exchange& exchange, Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return handler_threw(exchange, error);
  }
}

Result Server::handler_threw(const Exchange& exchange, const std::exception& error) {
  log_.log(LogMessage::handler_threw, &exchange.trace, {{"error", std::string_view(error.what())}});
  return std::unexpected(Error{ErrorCode::internal, "internal error"});
}

void Server::finish(ExchangePointer exchange, Result result) {
  auto& connection = *exchange->connection;
  if (!result && result.error().code == ErrorCode::client_gone &&
      connection.cancelled() == Connection::Reason::stopping) {
    result = std::unexpected(Error{ErrorCode::not_ready, "the service stopped before the response was ready", 1});
  }
  const bool gone = connection.closed() || (!result && result.error().code == ErrorCode::client_gone);
  Response response;
  Outcome outcome;
  if (result) {
    response = std::move(*result);
  } else {
    const auto& error = result.error();
    outcome.error_code = name_of(error.code);
    response.status = status_of(error.code);
    response.body = error_body(error, to_hex(exchange->trace.trace_id));
    if (error.retry_after_seconds)
      response.headers.emplace_back("Retry-After", std::to_string(*error.retry_after_seconds));
    if (!error.allow.empty()) response.headers.emplace_back("Allow", error.allow);
  }
  outcome.status = response.status;
  if (gone) outcome = {kClientGoneStatus, name_of(ErrorCode::client_gone)};
  response.headers.emplace_back("traceresponse", to_traceparent(exchange->trace));

  while (exchange->passed > 0) chain_[--exchange->passed]->after(*exchange, outcome);
  const bool close = draining_.load(std::memory_order_relaxed) || exchange->refusal || connection.over_limit();
  connection.reply({std::move(response), close, exchange->unanswered, std::move(exchange->in_flight)});
}

}  // namespace dice
