/* show ladder: who sent what when, and what it did. show states: RFC 9293's Figure 5 with the way
 * that was taken. show space: the two sequence spaces of a connection. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "step.h"

/* ---- Ladder ---------------------------------------------------------------------------------- */

#define LADDER_COLUMNS 66

static const char dashes[] =
	"----------------------------------------------------------------------";

/* The segment that the event delivered, or that was dropped, as an arrow. */
static void ladder_arrow(struct repl *r, const struct tg_step_event *e)
{
	char text[320];
	struct packet p;
	int room;

	packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
	ladder_text(r, &p, text, sizeof text);
	text[LADDER_COLUMNS - 12] = '\0';
	room = LADDER_COLUMNS - 7 - (int)strlen(text);
	if (e->kind == TG_STEP_HAND && e->end == 1) {
		printf("|-- %s %.*sX%*s|", text, room / 2, dashes, room - room / 2, "");
	} else if (e->kind == TG_STEP_HAND) {
		printf("|%*sX%.*s %s --|", room - room / 2, "", room / 2, dashes, text);
	} else if (e->end == 1) {
		printf("|-- %s %.*s>|", text, room, dashes);
	} else {
		printf("|<%.*s %s --|", room, dashes, text);
	}
}

/* What went to an end that is not ours, at the same time. */
static void ladder_sent(const struct repl *r, uint64_t position, uint64_t time_ns)
{
	for (size_t i = 0; i < r->n_sent; i++) {
		const struct sent *s = &r->sent[i];
		int room = LADDER_COLUMNS - 7 - (int)strlen(s->text);
		char at[24];

		if (s->position != position) {
			continue;
		}
		printf("%12s  ", time_text(time_ns, at));
		if (s->end == 0) {
			printf("|-- %s %.*s>|\n", s->text, room, dashes);
		} else {
			printf("|<%.*s %s --|\n", room, dashes, s->text);
		}
	}
}

/* Frames that are no IP, and timers of no connection, tell nothing here. */
static bool ladder_skips(const struct repl *r, const struct tg_step_event *e)
{
	struct packet p;

	if (r->world != WORLD_LIVE && r->world != WORLD_JOURNAL) {
		return false;
	}
	if (e->kind == TG_STEP_TIMER) {
		return e->timers == 0;
	}
	if (e->kind != TG_STEP_FRAME || e->frame == NULL) {
		return false;
	}
	packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
	return !p.ip;
}

static void ladder_moves(struct repl *r, uint64_t position, bool *broken)
{
	for (size_t i = 0; i < r->n_moves; i++) {
		const struct move *m = &r->move[i];

		if (m->position == position) {
			printf("%s  %s %s -> %s", *broken ? ";" : "", m->name,
				tg_state_name((enum tg_state)m->from),
				tg_state_name((enum tg_state)m->to));
			*broken = true;
		}
	}
}

void ladder_show(struct repl *r, char *args)
{
	uint64_t last = tg_stepper_position(r->w);
	struct tg_step_event e;

	(void)args;
	printf("%12s  %-*s%s\n", "", LADDER_COLUMNS - (int)strlen(r->end_name[1]), r->end_name[0],
		r->end_name[1]);
	for (uint64_t i = tg_stepper_first(r->w) + 1; i <= last; i++) {
		bool some = false;
		char text[400], at[24];

		if (!tg_stepper_past(r->w, i, &e) || ladder_skips(r, &e)) {
			continue;
		}
		printf("%12s  ", time_text(e.time_ns, at));
		if (e.frame != NULL && (e.kind == TG_STEP_FRAME || e.act == TG_ACT_DROP)) {
			ladder_arrow(r, &e);
		} else {
			event_text(r, &e, text, sizeof text);
			text[LADDER_COLUMNS - 4] = '\0';
			printf("| %-*s |", LADDER_COLUMNS - 4, text);
		}
		ladder_moves(r, i, &some);
		putchar('\n');
		ladder_sent(r, i, e.time_ns);
	}
}

/* ---- States ---------------------------------------------------------------------------------- */

static const char *const diagram[] = {
	"                        +----------+                             ",
	"                        |  CLOSED  |                             ",
	"                        +----------+                             ",
	"              passive OPEN |      | active OPEN: SYN              ",
	"                           v      v                              ",
	"             +----------+          +------------+                ",
	"             |  LISTEN  |          |  SYN-SENT  |                ",
	"             +----------+          +------------+                ",
	"      rcv SYN: SYN,ACK |            |  | rcv SYN,ACK: ACK          ",
	"                       v            |  |                          ",
	"        +----------------+  rcv SYN |  |                          ",
	"        |  SYN-RECEIVED  |<---------+  |                          ",
	"        +----------------+             |                          ",
	"          rcv ACK of SYN |             |                          ",
	"                         v             v                          ",
	"                      +-----------------+                        ",
	"                      |   ESTABLISHED   |                        ",
	"                      +-----------------+                        ",
	"            CLOSE: FIN |               | rcv FIN: ACK             ",
	"                       v               v                         ",
	"       +--------------+                 +--------------+         ",
	"       |  FIN-WAIT-1  |                 |  CLOSE-WAIT  |         ",
	"       +--------------+                 +--------------+         ",
	" rcv ACK |      | rcv FIN: ACK                 | CLOSE: FIN        ",
	"         v      v                              v                  ",
	"+--------------+  +-----------+         +------------+           ",
	"|  FIN-WAIT-2  |  |  CLOSING  |         |  LAST-ACK  |           ",
	"+--------------+  +-----------+         +------------+           ",
	" rcv FIN: ACK |     | rcv ACK of FIN           | rcv ACK of FIN    ",
	"              v     v                          v                  ",
	"            +-------------+   2 MSL      +----------+            ",
	"            |  TIME-WAIT  |------------->|  CLOSED  |            ",
	"            +-------------+              +----------+            ",
};
#define DIAGRAM_ROWS (sizeof diagram / sizeof diagram[0])

/* Was it in this state? CLOSED stands twice: above it was left, below it was reached. */
static bool visited(const struct repl *r, const char *name, unsigned state, bool below)
{
	bool there = false;

	for (size_t i = 0; i < r->n_moves && !there; i++) {
		const struct move *m = &r->move[i];

		there = strcmp(m->name, name) == 0 &&
			((m->to == state && (below || state != TG_CLOSED)) ||
				(m->from == state && (!below || state != TG_CLOSED)));
	}
	return there;
}

/* The state whose name stands at `at` between blanks; TG_STATE_COUNT: none. */
static unsigned diagram_state(const char *at, size_t *n)
{
	for (unsigned i = 0; i < TG_STATE_COUNT; i++) {
		const char *name = tg_state_name((enum tg_state)i);

		*n = strlen(name);
		if (at[0] == ' ' && strncmp(at + 1, name, *n) == 0 && at[1 + *n] == ' ') {
			return i;
		}
	}
	return TG_STATE_COUNT;
}

/* A line of the diagram: names of states visited between stars (bold on a terminal), the present
 * one between brackets. */
static void diagram_line(
	const struct repl *r, const char *line, const char *name, unsigned now, bool below)
{
	size_t end = strlen(line);

	while (end > 0 && line[end - 1] == ' ') {
		end--;
	}
	for (size_t i = 0, n; i < end;) {
		unsigned state = diagram_state(line + i, &n);

		bool here = state == now && (now != TG_CLOSED || below);

		if (state == TG_STATE_COUNT || (!here && !visited(r, name, state, below))) {
			putchar(line[i++]);
			continue;
		}
		printf("%s%c%.*s%c%s", r->terminal ? "\033[1m" : "", here ? '>' : '*', (int)n,
			line + i + 1, here ? '<' : '*', r->terminal ? "\033[0m" : "");
		i += n + 2;
	}
	putchar('\n');
}

void states_show(struct repl *r, char *args)
{
	const struct conn_name *n = name_wanted(r, word_next(&args));
	unsigned now = TG_CLOSED;
	struct tg_tcb t;
	bool some = false;

	if (n == NULL) {
		return;
	}
	if (tcb_of_name(r, n, &t)) {
		now = (unsigned)t.v[TG_TCB_STATE];
	}
	for (size_t i = 0; i < DIAGRAM_ROWS; i++) {
		diagram_line(r, diagram[i], n->name, now, i > DIAGRAM_ROWS / 2);
	}
	printf("%s at %s: >now<, *was there*\n", n->name, r->end_name[n->end]);
	for (size_t i = 0; i < r->n_moves; i++) {
		const struct move *m = &r->move[i];

		if (strcmp(m->name, n->name) == 0) {
			printf("  event %-5" PRIu64 " %s -> %s: %s (%s)\n", m->position,
				tg_state_name((enum tg_state)m->from),
				tg_state_name((enum tg_state)m->to),
				tg_cause_text((enum tg_cause)m->cause),
				tg_cause_clause((enum tg_cause)m->cause));
			some = true;
		}
	}
	if (!some) {
		puts("  it has not moved yet");
	}
}

/* ---- Sequence space -------------------------------------------------------------------------- */

#define RULER 60

/* Column of an offset of `whole`. */
static unsigned column(uint32_t offset, uint32_t whole)
{
	uint64_t at = whole ? (uint64_t)offset * RULER / whole : 0;

	return at > RULER ? RULER : (unsigned)at;
}

static void ruler_fill(char *line, unsigned from, unsigned to, char c)
{
	for (unsigned i = from; i < to && i < RULER; i++) {
		line[i] = c;
	}
}

static void space_send(const struct tg_tcb *t)
{
	const uint64_t *v = t->v;
	uint32_t una = (uint32_t)v[TG_TCB_SND_UNA], iss = (uint32_t)v[TG_TCB_ISS];
	uint32_t flight = (uint32_t)v[TG_TCB_SND_NXT] - una, wnd = (uint32_t)v[TG_TCB_SND_WND];
	uint32_t unsent = (uint32_t)v[TG_TCB_UNSENT], cwnd = (uint32_t)v[TG_TCB_CWND];
	uint32_t sacked = (uint32_t)v[TG_TCB_HIGH_SACKED] - una, whole = flight + unsent;
	char line[RULER + 1];

	whole = whole > wnd ? whole : wnd;
	whole = whole ? whole : 1;
	memset(line, ' ', RULER);
	line[RULER] = '\0';
	ruler_fill(line, 0, column(wnd, whole), '.');
	ruler_fill(line, column(flight, whole), column(flight + unsent, whole), '-');
	ruler_fill(line, 0, column(flight, whole), '=');
	if (flight > 0 && line[0] != '=') {
		line[0] = '=';
	}
	if (v[TG_TCB_SACKED] > 0 && sacked <= flight) {
		ruler_fill(line, column(sacked - (uint32_t)v[TG_TCB_SACKED], whole),
			column(sacked, whole), 's');
	}
	printf("  sending    |%s|\n", line);
	printf("    snd.una %" PRIu32 ", snd.nxt %" PRIu32 ", window to %" PRIu32
	       ", cwnd to %" PRIu32 "\n    = in flight %" PRIu32 " (s of it SACKed: %" PRIu64
	       ", lost %" PRIu64 "), - not sent yet %" PRIu32 ", . room in the window %" PRIu32
	       "\n",
		una - iss, una - iss + flight, una - iss + wnd, una - iss + cwnd, flight,
		v[TG_TCB_SACKED], v[TG_TCB_LOST], unsent, wnd > flight ? wnd - flight : 0);
}

static void space_receive(const struct tg_tcb *t)
{
	const uint64_t *v = t->v;
	uint32_t nxt = (uint32_t)v[TG_TCB_RCV_NXT], irs = (uint32_t)v[TG_TCB_IRS];
	uint32_t wnd = (uint32_t)v[TG_TCB_RCV_WND], unread = (uint32_t)v[TG_TCB_UNREAD];
	uint32_t owed = nxt - (uint32_t)v[TG_TCB_LAST_ACK], whole = unread + wnd;
	char line[RULER + 1];

	whole = whole ? whole : 1;
	memset(line, '.', RULER);
	line[RULER] = '\0';
	ruler_fill(line, 0, column(unread, whole), '#');
	if (unread > 0) {
		line[0] = '#';
	}
	printf("  receiving  |%s|\n", line);
	printf("    rcv.nxt %" PRIu32 ", window to %" PRIu32 ", %" PRIu32 " not acknowledged yet\n"
	       "    # received, not read %" PRIu32 ", . room in the window %" PRIu32
	       ", ranges beyond a gap: %" PRIu64 "\n",
		nxt - irs, nxt - irs + wnd, owed, unread, wnd, v[TG_TCB_OOO_RANGES]);
}

void space_show(struct repl *r, char *args)
{
	const struct conn_name *n = name_wanted(r, word_next(&args));
	struct tg_tcb t;

	if (n == NULL) {
		return;
	}
	if (!tcb_of_name(r, n, &t)) {
		refuse(r, "%s is closed: nothing is left of it", n->name);
		return;
	}
	printf("%s at %s, %s\n", n->name, r->end_name[n->end],
		tg_state_name((enum tg_state)t.v[TG_TCB_STATE]));
	space_send(&t);
	space_receive(&t);
}
