/* A bounded ring of frames between two threads: one puts, the other takes, neither ever waits nor
 * locks. */
#ifndef TG_PORT_RING_H
#define TG_PORT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/* A frame in the ring; its bytes stand behind it. */
struct ring_frame {
	uint32_t bytes;
	uint16_t gso_size;
	uint8_t gso, csum, passed; /* as in struct tg_pkt */
	uint8_t pad[7];
};

/* room: bytes of frames, a power of two. NULL: no memory. */
struct ring *ring_new(size_t room);
void ring_free(struct ring *r); /* may be NULL */
/* False: there is no room. */
bool ring_put(struct ring *r, const struct ring_frame *f, const void *data);
bool ring_is_empty(const struct ring *r);
/* The oldest frame; false: there is none. Stays until ring_take. */
bool ring_peek(struct ring *r, struct ring_frame *f);
/* Takes the frame that ring_peek showed, f->bytes of it to data (NULL: throws it away). */
void ring_take(struct ring *r, const struct ring_frame *f, void *data);

#endif
