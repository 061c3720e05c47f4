/* Comments of packets, from the trace. */
#ifndef TG_PORT_CAPTURE_NOTE_H
#define TG_PORT_CAPTURE_NOTE_H

#include "port/capture.h"

#define WHY_RECORDS 64u

/* What is remembered to explain frames that are still to be sent. */
struct capture_why {
	/* State changes that no received frame led to, by connection: said of its next segment. */
	struct tg_trace move[WHY_RECORDS];
	unsigned next;
	/* Why a connection retransmits, by serial number. */
	struct {
		uint32_t conn;
		uint8_t how; /* enum, private; 0: unknown */
	} loss[WHY_RECORDS];
};

/* Adds a comment; too many are left out. which: as in struct capture_notes. */
__attribute__((format(printf, 3, 4))) void note_add(
	struct capture_notes *n, uint32_t which, const char *format, ...);
/* What a record says of the received frame that it belongs to. */
void note_received(struct capture_notes *n, const struct tg_trace *t);
/* Remembers a record. */
void why_take(struct capture_why *w, const struct tg_trace *t);
/* What is to be said of the segment that a record (TG_TRACE_SEGMENT_OUT) tells of. */
void note_sent(struct capture_notes *n, struct capture_why *w, const struct tg_trace *t);
/* What an impairing device did with packet number `which` of a frame. */
void note_impaired(struct capture_notes *n, uint32_t which, enum tg_impair_what what);

#endif
