/* Makes each flush of a file to disk take FLUSH_MICROSECONDS, for PostgreSQL under LD_PRELOAD.
   The disk itself is not flushed: it would add its own time, which differs from machine to machine. */
#include <stdlib.h>
#include <unistd.h>

static int flush(void) {
    const char *duration = getenv("FLUSH_MICROSECONDS");
    return usleep(duration ? (useconds_t)atoi(duration) : 0);
}

int fsync(int file) { (void)file; return flush(); }

int fdatasync(int file) { (void)file; return flush(); }
