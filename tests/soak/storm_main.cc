// soak-storm PORT LEAVERS PATH [PATH ...] [-- PATH ...]: a storm of clients that disconnect (support/storm.h). Requests
// for the paths before "--" are abandoned, those after it are requested by the well-behaved clients; without "--", both
// are the same. Prints its progress, then one line of JSON. The exit code is 1 if a well-behaved client lost anything.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/storm.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) {
    std::fputs("usage: soak-storm PORT LEAVERS PATH [PATH ...] [-- PATH ...]\n", stderr);
    return 2;
  }
  dice::test::StormOptions options;
  options.port = static_cast<std::uint16_t>(std::stoi(arguments[0]));
  const auto leavers = std::stoul(arguments[1]);
  const auto paths = arguments.begin() + 2;
  const auto dashes = std::find(paths, arguments.end(), "--");
  options.abandoned.assign(paths, dashes);
  options.honest = dashes == arguments.end() ? options.abandoned : std::vector(dashes + 1, arguments.end());
  options.seed = std::random_device()();

  dice::test::StormResult sum;
  for (std::size_t done = 0; done < leavers; ++options.seed) {
    options.leavers = std::min<std::size_t>(leavers - done, 20'000);
    const auto part = dice::test::storm(options);
    done += options.leavers;
    sum.left += part.left;
    sum.honest += part.honest;
    sum.foreign += part.foreign;
    sum.unsolicited += part.unsolicited;
    sum.lost += part.lost;
    std::fprintf(stderr, "\r  port %d: %zu of %zu left, %zu foreign, %zu unsolicited, %zu lost", int{options.port},
                 done, leavers, sum.foreign, sum.unsolicited, sum.lost);
  }
  std::fputs("\n", stderr);
  std::printf("{\"left\":%zu,\"honest\":%zu,\"foreign\":%zu,\"unsolicited\":%zu,\"lost\":%zu}\n", sum.left, sum.honest,
              sum.foreign, sum.unsolicited, sum.lost);
  return sum.clean() ? 0 : 1;
}
