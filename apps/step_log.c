/* What has been, for the pictures: moves between states, and frames that left for an end that is
 * not ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

/* Makes room for one more of `size` bytes in *list. */
static bool room_for(void **list, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *grown;

	if (n < *room) {
		return true;
	}
	grown = realloc(*list, more * size);
	if (grown == NULL) {
		return false; /* pictures lack it */
	}
	*list = grown;
	*room = more;
	return true;
}

/* In few words: of options SACK alone has a place in a ladder, and of a SYN what it offers. */
void ladder_text(struct repl *r, const struct packet *p, char *buf, size_t cap)
{
	uint32_t isn, peer_isn;
	char *ts, *end;

	packet_isns(r, p, &isn, &peer_isn);
	packet_text(p, isn, peer_isn, buf, cap);
	ts = strstr(buf, "TS val");
	if (ts == NULL) {
		return;
	}
	end = strpbrk(ts, ",>");
	if (end != NULL && *end == ',') {
		end++;
	} else if (end != NULL && ts[-1] == '<') { /* nothing else is there */
		ts -= ts - buf >= 2 ? 2 : 1;
		end++;
	} else {
		ts--;
	}
	memmove(ts, end != NULL ? end : "", end != NULL ? strlen(end) + 1 : 1);
}

/* Frames that leave for an end that is no instance of ours are seen now or never. */
static void sent_note(struct repl *r)
{
	uint32_t n = r->did.n_frames < TG_STEP_FRAMES ? r->did.n_frames : TG_STEP_FRAMES;

	for (uint32_t i = 0; r->world != WORLD_LAB && i < n; i++) {
		uint32_t bytes = r->did.frame[i].bytes;
		const uint8_t *head = r->did.frame[i].head;
		struct packet p;
		char text[320];

		if (!room_for((void **)&r->sent, r->n_sent, &r->sent_room, sizeof *r->sent)) {
			return;
		}
		packet_read(&p, r->link, head, bytes < TG_STEP_HEAD ? bytes : TG_STEP_HEAD, bytes);
		if (!p.ip) {
			continue;
		}
		ladder_text(r, &p, text, sizeof text);
		r->sent[r->n_sent] =
			(struct sent){tg_stepper_position(r->w), r->did.frame[i].end, ""};
		snprintf(r->sent[r->n_sent].text, sizeof r->sent->text, "%.54s", text);
		r->n_sent++;
	}
}

void moves_cut(struct repl *r)
{
	while (r->n_sent > 0 && r->sent[r->n_sent - 1].position > tg_stepper_position(r->w)) {
		r->n_sent--;
	}
	while (r->n_moves > 0 && r->move[r->n_moves - 1].position > tg_stepper_position(r->w)) {
		r->n_moves--;
	}
}

void moves_note(struct repl *r)
{
	uint32_t traces = r->did.n_traces < TG_STEP_TRACES ? r->did.n_traces : TG_STEP_TRACES;

	while (r->n_moves > 0 && r->move[r->n_moves - 1].position >= tg_stepper_position(r->w)) {
		r->n_moves--;
	}
	while (r->n_sent > 0 && r->sent[r->n_sent - 1].position >= tg_stepper_position(r->w)) {
		r->n_sent--;
	}
	names_update(r);
	sent_note(r);
	for (uint32_t i = 0; i < traces; i++) {
		const struct tg_trace *t = &r->did.trace[i].t;
		const struct conn_name *n;
		struct move *m;

		if (t->kind != TG_TRACE_STATE) {
			continue;
		}
		if (!room_for((void **)&r->move, r->n_moves, &r->moves_room, sizeof *r->move)) {
			return;
		}
		m = &r->move[r->n_moves++];
		*m = (struct move){
			tg_stepper_position(r->w), r->did.trace[i].end, t->a, t->b, t->reason, ""};
		n = name_of_trace(r, m->end, t);
		snprintf(m->name, sizeof m->name, "%s", n != NULL ? n->name : "(unnamed)");
	}
}
