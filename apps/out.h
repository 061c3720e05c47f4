/* Lines to a descriptor, standard output as a rule, that never make the writer wait: what the
 * reader does not take goes into a bounded buffer, and lines that do not fit there are counted
 * instead. */
#ifndef TAPGLASS_APPS_OUT_H
#define TAPGLASS_APPS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUT_BUFFER_BYTES 65536u

struct out {
	int fd;
	bool own_fd; /* reopened, to be non-blocking without changing the shell's descriptor */
	bool is_socket;
	bool may_block; /* could not be reopened: ask poll before each write */
	bool dead;      /* the reader is gone */
	bool patient;   /* a full disk is no reason to be dead: it may have room again */
	bool terminal;
	uint32_t start_bytes, len_bytes;
	uint64_t lost_lines; /* since the last time somebody asked */
	char buf[OUT_BUFFER_BYTES];
};

void out_open(struct out *o, int fd);
/* Appends a line, n bytes with its newline; false: there was no room, it is counted as lost. */
bool out_line(struct out *o, const char *line, size_t n);
/* Writes what the reader takes now. True: something is left. */
bool out_flush(struct out *o);
/* Writes the rest, waiting at most timeout_ms, and closes. */
void out_close(struct out *o, int timeout_ms);

#endif
