/* What links need of a capture. */
#ifndef TG_PORT_CAPTURE_H
#define TG_PORT_CAPTURE_H

#include "tapglass_host.h"

#define CAPTURE_NOTES_MAX  64u
#define CAPTURE_NOTE_BYTES 120u

/* What is to be said of the packets of a frame. */
struct capture_notes {
	unsigned n;
	struct {
		uint32_t which; /* of a large frame's packets: its number, or one of these */
#define CAPTURE_NOTE_EACH UINT32_MAX
#define CAPTURE_NOTE_LAST (UINT32_MAX - 1)
		char text[CAPTURE_NOTE_BYTES];
	} note[CAPTURE_NOTES_MAX];
};

/* A place at which packets are seen: an interface of the file. about: its description, or NULL.
 * Number, or -errno (too many; the reader does not take it). */
int capture_add_point(struct tg_capture *c, const char *name, const char *about, enum tg_link link);
/* Writes the packets of frame f; out: from the instance. first_id: packet number of the first of
 * them, 0: none is written. notes: may be NULL. Returns the number of packets. */
uint64_t capture_frame(struct tg_capture *c, int point, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns, const struct capture_notes *notes);
/* Packets lost at the point, for the statistics at the end. */
void capture_set_drops(struct tg_capture *c, int point, uint64_t drops);
/* Hands what is buffered to the file. True: its reader has not taken all. */
bool capture_flush(struct tg_capture *c);
/* A link uses c, or does not any more. c lives until its opener has closed it and no link uses it.
 */
void capture_hold(struct tg_capture *c);
void capture_release(struct tg_capture *c);

#endif
