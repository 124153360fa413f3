/* A wall clock that is off by SKEW seconds, for a process that is started with this preloaded. The
 * other clocks are as they are: a machine with a wrong time of day, not one whose time runs wrong. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += SKEW;
  return (int)failed;
}
