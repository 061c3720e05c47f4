/* The bytes of a capture on their way to its file: a ring of fixed size, written to a file at once
 * and to a pipe, socket or terminal as far as its reader takes them. */
#ifndef TG_PORT_CAPTURE_BUF_H
#define TG_PORT_CAPTURE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_buf {
	int fd;
	bool own_fd;
	bool stream; /* somebody reads it: never wait for them */
	bool is_socket;
	bool may_block; /* could not be made non-blocking: ask before each write */
	int error;      /* errno of the first write that failed; nothing is written any more */
	uint8_t *ring;
	size_t cap_bytes;    /* a power of two */
	uint64_t head, tail; /* bytes ever put in, ever written */
};

/* Takes descriptor fd, to be closed by capture_buf_close if own_fd. 0 or -errno. */
int capture_buf_open(struct capture_buf *b, int fd, bool own_fd);
/* Room for n bytes, after writing if need be. False: the reader is too slow. */
bool capture_buf_has_room(struct capture_buf *b, size_t n);
/* There has to be room. */
void capture_buf_put(struct capture_buf *b, const void *data, size_t n);
/* Overwrites the 4 bytes at position `at` of all that was ever put in, which are still here. at is
 * a multiple of 4. */
void capture_buf_patch32(struct capture_buf *b, uint64_t at, uint32_t v);
/* Writes what the reader takes now, a file: all. Returns the bytes left. */
size_t capture_buf_flush(struct capture_buf *b);
/* Closes the descriptor, frees the ring. A failed close is an error like a failed write. */
void capture_buf_close(struct capture_buf *b);

#endif
