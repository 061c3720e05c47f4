/* save: a packet script that replays what was done, from the view of one end: its calls, what it
 * received, and what it sent. A lab is gone through once more from the beginning for that; of a
 * packet script the lines up to here are what was done. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

#define FDS 64

struct save {
	struct repl *r;
	FILE *f;
	unsigned end;
	tg_sock fd[FDS]; /* handle behind the script's descriptor */
	unsigned next_fd;
	const char *why; /* what cannot be written */
};

static int fd_of(struct save *s, tg_sock k)
{
	for (unsigned i = 3; i < s->next_fd; i++) {
		if (s->fd[i] == k) {
			return (int)i;
		}
	}
	s->why = "a socket of before the log begins is used";
	return 3;
}

static int fd_new(struct save *s, tg_sock k)
{
	if (s->next_fd == FDS) {
		s->why = "more sockets are used than a script may have";
		return 3;
	}
	s->fd[s->next_fd] = k;
	return (int)s->next_fd++;
}

static void at(struct save *s, uint64_t ns)
{
	fprintf(s->f, "%" PRIu64 ".%09u ", ns / NS_PER_S, (unsigned)(ns % NS_PER_S));
}

/* " = 0", or the error. */
static void result(struct save *s, int64_t r, int64_t good)
{
	if (r >= 0) {
		fprintf(s->f, " = %" PRId64 "\n", good);
	} else {
		fprintf(s->f, " = -1 (%s)\n", errno_text(r));
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void save_open(struct save *s, const struct tg_step_action *a, uint64_t ns, int64_t res)
{
	int fd = fd_new(s, res > 0 ? (tg_sock)res : 0);
	struct tg_tcb t;
	uint64_t cursor = 0;

	at(s, ns);
	fprintf(s->f, "socket(..., SOCK_STREAM, IPPROTO_TCP) = %d\n", fd);
	if (a->act == TG_ACT_LISTEN) {
		fprintf(s->f,
			"+0 setsockopt(%d, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0\n"
			"+0 bind(%d, {sa_family=AF_INET, sin_port=htons(%u), "
			"sin_addr=inet_addr(\"0.0.0.0\")}, 16) = 0\n+0 listen(%d, 16)",
			fd, fd, (unsigned)a->addr.port, fd);
		result(s, res, 0);
		return;
	}
	while (tg_tcb_next(tg_stepper_instance(s->r->w, s->end), &cursor, &t)) {
		if (res > 0 && t.sock == (tg_sock)res) {
			fprintf(s->f,
				"+0 bind(%d, {sa_family=AF_INET, sin_port=htons(%u), "
				"sin_addr=inet_addr(\"0.0.0.0\")}, 16) = 0\n",
				fd, (unsigned)t.local.port);
		}
	}
	fprintf(s->f,
		"+0 fcntl(%d, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n"
		"+0 connect(%d, {sa_family=AF_INET, sin_port=htons(%u), "
		"sin_addr=inet_addr(\"192.0.2.1\")}, 16) = -1 EINPROGRESS (Operation now in "
		"progress)\n",
		fd, fd, (unsigned)a->addr.port);
}

static void save_option(struct save *s, const struct tg_step_action *a, int fd)
{
	static const struct {
		enum tg_option option;
		const char *text;
	} names[] = {{TG_TCP_NODELAY, "SOL_TCP, TCP_NODELAY"}, {TG_TCP_CORK, "SOL_TCP, TCP_CORK"},
		{TG_TCP_QUICKACK, "SOL_TCP, TCP_QUICKACK"},
		{TG_SO_KEEPALIVE, "SOL_SOCKET, SO_KEEPALIVE"},
		{TG_SO_SNDBUF, "SOL_SOCKET, SO_SNDBUF"}, {TG_SO_RCVBUF, "SOL_SOCKET, SO_RCVBUF"}};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (a->option == names[i].option) {
			fprintf(s->f, "setsockopt(%d, %s, [%" PRId64 "], 4)", fd, names[i].text,
				a->value);
			return;
		}
	}
	fprintf(s->f, "setsockopt(%d, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8)", fd);
}

static void save_call(struct save *s, const struct tg_step_action *a, uint64_t ns, int64_t res)
{
	int fd;

	if (a->act == TG_ACT_CONNECT || a->act == TG_ACT_LISTEN) {
		save_open(s, a, ns, res);
		return;
	}
	fd = fd_of(s, a->sock);
	at(s, ns);
	switch ((enum tg_step_act)a->act) {
	case TG_ACT_ACCEPT:
		fprintf(s->f, "fcntl(%d, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 accept(%d, ..., ...)",
			fd, fd);
		if (res >= 0) {
			int new_fd = fd_new(s, (tg_sock)res);

			fprintf(s->f, " = %d\n+0 fcntl(%d, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n",
				new_fd, new_fd);
			return;
		}
		break;
	case TG_ACT_SEND: fprintf(s->f, "write(%d, ..., %" PRIu32 ")", fd, a->bytes); break;
	case TG_ACT_RECV: fprintf(s->f, "read(%d, ..., %" PRIu32 ")", fd, a->bytes); break;
	case TG_ACT_SHUTDOWN:
		fprintf(s->f, "shutdown(%d, %s)", fd,
			a->how == TG_SHUT_WR   ? "SHUT_WR"
			: a->how == TG_SHUT_RD ? "SHUT_RD"
					       : "SHUT_RDWR");
		break;
	case TG_ACT_ABORT:
		fprintf(s->f,
			"setsockopt(%d, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n+0 ",
			fd);
		fprintf(s->f, "close(%d)", fd);
		break;
	case TG_ACT_CLOSE: fprintf(s->f, "close(%d)", fd); break;
	case TG_ACT_SETOPT: save_option(s, a, fd); break;
	case TG_ACT_NONE:
	case TG_ACT_CONNECT:
	case TG_ACT_LISTEN:
	case TG_ACT_DELIVER:
	case TG_ACT_DROP:
	case TG_ACT_DUP:
	case TG_ACT_SWAP:
	case TG_ACT_CORRUPT:
	case TG_ACT_DELAY:
	case TG_ACT_ADVANCE:
	case TG_ACT_COUNT: break;
	}
	result(s, res, res);
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void save_packet(struct save *s, struct packet *p, uint64_t ns, char direction)
{
	uint32_t isn, peer_isn;
	char text[320], *body = text, tos[8] = "";

	if (!p->tcp) {
		return; /* ARP and its like are no matter of scripts */
	}
	p->with_nops = true;
	packet_isns(s->r, p, &isn, &peer_isn);
	packet_text(p, isn, peer_isn, text, sizeof text);
	if (text[0] == '[') { /* what IP says stands before the ports */
		body = strchr(text, ' ') + 1;
		snprintf(tos, sizeof tos, "%.*s", (int)(body - text), text);
	}
	at(s, ns);
	fprintf(s->f, "%c %s%u > %u %s\n", direction, tos, (unsigned)p->src.port,
		(unsigned)p->dst.port, body);
}

/* What arrived and was discarded before TCP saw it: a script cannot make it, nor does it matter. */
static const char *damage(const struct tg_step_effects *fx)
{
	uint32_t n = fx->n_traces < TG_STEP_TRACES ? fx->n_traces : TG_STEP_TRACES;

	for (uint32_t i = 0; i < n; i++) {
		const struct tg_trace *t = &fx->trace[i].t;

		if (t->kind == TG_TRACE_DROP &&
			(t->reason == TG_DROP_TCP_CSUM || t->reason < TG_DROP_TCP_SHORT)) {
			return tg_drop_name((enum tg_drop)t->reason);
		}
	}
	return NULL;
}

static void save_received(struct save *s, const struct tg_step_event *e, const uint8_t *head,
	const struct tg_step_effects *fx)
{
	const char *why = damage(fx);
	struct packet p;

	packet_read(&p, (enum tg_link)e->link, head, e->frame_here, e->frame_bytes);
	if (why != NULL) {
		fprintf(s->f, "// a damaged packet came at %" PRIu64 " us: %s\n",
			e->time_ns / NS_PER_US, why);
	} else {
		save_packet(s, &p, e->time_ns, '<');
	}
}

static void save_sent(struct save *s, const struct tg_step_event *e,
	const struct tg_step_effects *fx, enum tg_link link)
{
	if (fx->n_frames > TG_STEP_FRAMES) {
		s->why = "an event sent more frames at once than are kept";
		return;
	}
	for (uint32_t i = 0; i < fx->n_frames; i++) {
		uint32_t bytes = fx->frame[i].bytes;
		struct packet p;

		if (fx->frame[i].end != s->end) {
			continue;
		}
		packet_read(&p, link, fx->frame[i].head,
			bytes < TG_STEP_HEAD ? bytes : TG_STEP_HEAD, bytes);
		save_packet(s, &p, e->time_ns, '>');
	}
}

/* ---- Going through it ------------------------------------------------------------------------ */

static void save_event(struct save *s)
{
	struct repl *r = s->r;
	struct tg_step_action a;
	struct tg_step_event next;
	uint8_t head[TG_STEP_KEPT];

	tg_stepper_next(r->w, &next);
	if (next.frame != NULL) {
		next.frame_here = next.frame_here < sizeof head ? next.frame_here : sizeof head;
		memcpy(head, next.frame, next.frame_here);
	}
	if (!tg_stepper_step(r->w, &r->last, &r->did)) {
		s->why = "the run ends before its end";
		return;
	}
	moves_note(r);
	if (next.kind == TG_STEP_FRAME && next.end == s->end && next.frame != NULL) {
		save_received(s, &next, head, &r->did);
	} else if (next.kind == TG_STEP_HAND && next.act == TG_ACT_DELIVER && next.end == s->end &&
		   next.frame != NULL) {
		save_received(s, &next, head, &r->did);
	} else if (next.kind == TG_STEP_CALL && next.end == s->end &&
		   tg_stepper_past_action(r->w, tg_stepper_position(r->w), &a)) {
		save_call(s, &a, next.time_ns, r->did.result);
	}
	save_sent(s, &r->last, &r->did, r->link);
}

static void save_lab(struct save *s)
{
	struct repl *r = s->r;
	uint64_t position = tg_stepper_position(r->w);
	const char *why = NULL;

	if (tg_stepper_first(r->w) != 0 || !tg_stepper_goto(r->w, 0, &why)) {
		s->why = why != NULL ? why : "the beginning has been forgotten";
		return;
	}
	r->n_moves = 0;
	fprintf(s->f,
		"// Written by tapglass step: %" PRIu64 " events, as %s saw them.\n"
		"`sysctl -q net.ipv4.tcp_rmem=\"4096 131072 16777216\"; "
		"sysctl -q net.ipv4.tcp_wmem=\"4096 131072 16777216\"`\n",
		position, r->end_name[s->end]);
	while (s->why == NULL && tg_stepper_position(r->w) < position) {
		save_event(s);
	}
	if (tg_stepper_position(r->w) != position) {
		tg_stepper_goto(r->w, position, &why);
	}
}

/* Up to the line that comes next. */
static void save_script(struct save *s)
{
	struct repl *r = s->r;
	const char *p = r->script, *end = r->script + r->script_bytes;
	struct tg_step_action a;
	uint32_t line = 1;

	for (uint64_t i = tg_stepper_first(r->w) + 1; i <= tg_stepper_position(r->w); i++) {
		if (tg_stepper_past_action(r->w, i, &a)) {
			s->why = "what was done by hand has no place among a script's lines: save "
				 "works in a lab, or before the first such command";
			return;
		}
	}
	while (p < end && (r->next.line == 0 || line < r->next.line)) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop != NULL ? (size_t)(stop - p) + 1 : (size_t)(end - p);

		fwrite(p, 1, n, s->f);
		p += n;
		line++;
	}
}

/* NULL: done; else why not. */
static const char *write_whole(const char *path, const char *text, size_t bytes)
{
	FILE *f = fopen(path, "we");
	bool good;

	if (f == NULL) {
		return strerror(errno);
	}
	good = fwrite(text, 1, bytes, f) == bytes;
	return fclose(f) == 0 && good ? NULL : strerror(errno);
}

void save_command(struct repl *r, char *args)
{
	const char *path = word_next(&args), *end = word_next(&args);
	struct save s = {.r = r, .next_fd = 3};
	char *text = NULL;
	size_t bytes = 0;

	if (r->world == WORLD_LIVE || r->world == WORLD_JOURNAL) {
		refuse(r,
			"save writes what was done in a lab or a packet script; a live run is kept "
			"by \"up --record\", and a recorded one is its own script");
		return;
	}
	if (r->world == WORLD_LAB && r->link == TG_LINK_ETHERNET) {
		refuse(r, "in a packet script nothing waits for ARP: save works in a lab without "
			  "--ethernet");
		return;
	}
	if (path == NULL) {
		refuse(r, "to which file? save FILE [END]");
		return;
	}
	if (end != NULL && strcasecmp(end, r->end_name[1]) == 0) {
		s.end = 1;
	} else if (end != NULL && strcasecmp(end, r->end_name[0]) != 0) {
		refuse(r, "as which end saw it? %s or %s", r->end_name[0], r->end_name[1]);
		return;
	}
	s.f = open_memstream(&text, &bytes);
	if (s.f == NULL) {
		refuse(r, "%s: %s", path, strerror(errno));
		return;
	}
	if (r->world == WORLD_LAB) {
		save_lab(&s);
	} else {
		save_script(&s);
	}
	if (fclose(s.f) != 0 && s.why == NULL) {
		s.why = strerror(errno);
	}
	if (s.why == NULL) {
		s.why = write_whole(path, text, bytes);
	}
	free(text);
	if (s.why != NULL) {
		refuse(r, "%s: not written: %s", path, s.why);
	} else {
		printf("%s: written; tapglass drill %s runs it\n", path, path);
	}
	stop_read(r, true);
}
