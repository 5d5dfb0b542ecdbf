// bench-hello PORT: a minimal Pistache server, as the reference.
#include <pistache/endpoint.h>

#include <cstdint>
#include <cstdlib>

namespace {

class Hello : public Pistache::Http::Handler {
 public:
  HTTP_PROTOTYPE(Hello)

  void onRequest(const Pistache::Http::Request& /*request*/, Pistache::Http::ResponseWriter response) override {
    // Otherwise, Pistache makes clients without a Connection header reconnect.
    response.headers().remove<Pistache::Http::Header::Connection>();
    response.send(Pistache::Http::Code::Ok, "hello");
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Pistache::Http::Endpoint endpoint(
      {Pistache::Ipv4::loopback(), Pistache::Port(static_cast<std::uint16_t>(std::atoi(argv[1])))});
  endpoint.init(Pistache::Http::Endpoint::options().threads(2).flags(Pistache::Tcp::Options::ReuseAddr |
                                                                     Pistache::Tcp::Options::NoDelay));
  endpoint.setHandler(std::make_shared<Hello>());
  endpoint.serve();
}
