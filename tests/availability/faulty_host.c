/* A host that misbehaves while its process runs, for a process that is started with this preloaded.
 * The file that FAULTY_HOST names holds two numbers, read anew at every call: by how many seconds
 * the wall clock is wrong (the other clocks are right, as after a step of the time of day), and how
 * many microseconds each sync of a file takes beyond its own time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t right[2];
static const volatile int64_t *host = right;

__attribute__((constructor)) static void find_host(void) {
  const char *path = getenv("FAULTY_HOST");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof right, PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) host = page;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += host[0];
  return (int)failed;
}

static long slowly(long result) {
  if (host[1] > 0) usleep((useconds_t)host[1]);
  return result;
}

int fsync(int file) { return (int)slowly(syscall(SYS_fsync, file)); }
int fdatasync(int file) { return (int)slowly(syscall(SYS_fdatasync, file)); }
