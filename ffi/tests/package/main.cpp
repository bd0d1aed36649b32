// A program that has nothing but what is installed.
#include <tethered.hpp>

int main() {
  tethered::hub hub;
  tethered::config config;
  if (hub.open(config, {}, tethered_now{1, 1})) return 1;
  return hub.stats().sockets == 0 && tethered_version_num() == TETHERED_VERSION_NUM ? 0 : 2;
}
