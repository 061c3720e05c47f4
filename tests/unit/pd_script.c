/* What pd_host.h declares: scripts in packetdrill's language, one connection a script. Comments and
 * our own directives mean nothing to packetdrill; `//@ config` and the options of a run become the
 * adapter's flags. What is not understood makes the script "not read". */
#include "pd_host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SIOCINQ
#define SIOCINQ  FIONREAD
#define SIOCOUTQ TIOCOUTQ
#endif
#define ARGS_MAX     8
#define TOLERANCE_US 1000
#define FLAGS_BYTES  1024

struct call {
	struct script *s;
	char name[24], arg[ARGS_MAX][96];
	unsigned n_args;
	long result;
	bool any_result;
	int error;
	bool bad; /* an argument is not understood */
};

struct script {
	struct pd_host h;
	enum pd_verdict verdict;
	char *why;
	size_t why_bytes;
	unsigned line;
	int fd[64]; /* the script's numbers */
	uint16_t lport, rport;
	uint32_t iss, ts_off, peer_next;
	bool learned, ts_learned, isn_seen;
	long long last_us; /* what relative times count from */
	long long from_us, to_us;
	bool any_time, range, blocking;
	struct call pending;
	long long pending_end_us;
	bool is_pending;
};

static bool stop(struct script *s, enum pd_verdict v, const char *why)
{
	if (s->verdict == PD_PASSED) {
		s->verdict = v;
		snprintf(s->why, s->why_bytes, "line %u: %s", s->line, why);
	}
	return false;
}

static const struct {
	const char *name;
	long value;
} names[] = {{"AF_INET", AF_INET}, {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM},
	{"SOCK_NONBLOCK", SOCK_NONBLOCK}, {"IPPROTO_TCP", IPPROTO_TCP},
	{"IPPROTO_UDP", IPPROTO_UDP}, {"SOL_SOCKET", SOL_SOCKET}, {"SOL_TCP", IPPROTO_TCP},
	{"SO_REUSEADDR", SO_REUSEADDR}, {"SO_RCVBUF", SO_RCVBUF}, {"SO_SNDBUF", SO_SNDBUF},
	{"SO_ERROR", SO_ERROR}, {"SO_KEEPALIVE", SO_KEEPALIVE}, {"SO_LINGER", SO_LINGER},
	{"SO_RCVLOWAT", SO_RCVLOWAT}, {"TCP_NODELAY", TCP_NODELAY}, {"TCP_CORK", TCP_CORK},
	{"TCP_MAXSEG", TCP_MAXSEG}, {"TCP_KEEPIDLE", TCP_KEEPIDLE},
	{"TCP_KEEPINTVL", TCP_KEEPINTVL}, {"TCP_KEEPCNT", TCP_KEEPCNT},
	{"TCP_USER_TIMEOUT", TCP_USER_TIMEOUT}, {"TCP_DEFER_ACCEPT", TCP_DEFER_ACCEPT},
	{"TCP_QUICKACK", TCP_QUICKACK}, {"F_SETFL", F_SETFL}, {"F_GETFL", F_GETFL},
	{"O_RDWR", O_RDWR}, {"O_NONBLOCK", O_NONBLOCK}, {"SHUT_RD", SHUT_RD}, {"SHUT_WR", SHUT_WR},
	{"SHUT_RDWR", SHUT_RDWR}, {"MSG_PEEK", MSG_PEEK}, {"MSG_OOB", MSG_OOB},
	{"MSG_WAITALL", MSG_WAITALL}, {"MSG_TRUNC", MSG_TRUNC}, {"MSG_DONTWAIT", MSG_DONTWAIT},
	{"MSG_MORE", MSG_MORE}, {"FIONREAD", FIONREAD}, {"SIOCINQ", SIOCINQ},
	{"SIOCOUTQ", SIOCOUTQ}, {"POLLIN", POLLIN}, {"POLLOUT", POLLOUT}, {"POLLPRI", POLLPRI},
	{"POLLERR", POLLERR}, {"POLLHUP", POLLHUP}, {"POLLRDHUP", POLLRDHUP}, {"EAGAIN", EAGAIN},
	{"EINPROGRESS", EINPROGRESS}, {"EPIPE", EPIPE}, {"ECONNRESET", ECONNRESET},
	{"ECONNREFUSED", ECONNREFUSED}, {"ENOTCONN", ENOTCONN}, {"EISCONN", EISCONN},
	{"EALREADY", EALREADY}, {"EINVAL", EINVAL}, {"EBADF", EBADF}, {"EADDRINUSE", EADDRINUSE},
	{"ETIMEDOUT", ETIMEDOUT}, {"ECONNABORTED", ECONNABORTED}, {"EHOSTUNREACH", EHOSTUNREACH},
	{"ENETUNREACH", ENETUNREACH}, {"EMSGSIZE", EMSGSIZE}};

/* Numbers and names with | between them. */
static bool value_of(const char *text, long *out)
{
	char word[40];

	*out = 0;
	for (const char *p = text;;) {
		size_t n = strcspn(p, "|"), i = 0;
		char *end;
		long v;

		if (!n || n >= sizeof(word))
			return false;
		memcpy(word, p, n);
		word[n] = 0;
		v = strtol(word, &end, 0);
		while (*end && i < sizeof(names) / sizeof(*names) && strcmp(names[i].name, word))
			i++;
		if (*end && i == sizeof(names) / sizeof(*names))
			return false;
		*out |= *end ? names[i].value : v;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

/* ---- Packets --------------------------------------------------------------------------------- */

static void put32(uint8_t *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* One option's bytes; shift is added to edges of SACK blocks. 0: not understood. */
static uint32_t one_option(const char *t, uint8_t *o, uint32_t shift)
{
	unsigned v, ecr;
	int used;

	if (strcmp(t, "nop") == 0)
		return *o = 1, 1;
	if (strcmp(t, "eol") == 0)
		return *o = 0, 1;
	if (strcmp(t, "sackOK") == 0)
		return o[0] = 4, o[1] = 2, 2;
	if (sscanf(t, "mss %u", &v) == 1)
		return o[0] = 2, o[1] = 4, o[2] = (uint8_t)(v >> 8), o[3] = (uint8_t)v, 4;
	if (sscanf(t, "wscale %u", &v) == 1)
		return o[0] = 3, o[1] = 3, o[2] = (uint8_t)v, 3;
	if (sscanf(t, "TS val %u ecr %u", &v, &ecr) == 2) {
		o[0] = 8;
		o[1] = 10;
		put32(o + 2, v);
		put32(o + 6, ecr);
		return 10;
	}
	if (strncmp(t, "sack", 4) != 0)
		return 0;
	o[0] = 5;
	o[1] = 2;
	for (t += 4; sscanf(t, " %u:%u%n", &v, &ecr, &used) == 2 && o[1] < 34; t += used) {
		put32(o + o[1], v + shift);
		put32(o + o[1] + 4, ecr + shift);
		o[1] = (uint8_t)(o[1] + 8);
	}
	return o[1] > 2 && !*t ? o[1] : 0;
}

static bool read_options(struct seg *g, char *t, uint32_t shift)
{
	char *save;

	for (t = strtok_r(t, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		uint32_t n = g->n_opts > 20 && t[0] == 's' && t[4] == ' '
				     ? 0
				     : one_option(t, g->opts + g->n_opts, shift);

		if (!n || g->n_opts + n > 40)
			return false;
		g->n_opts += n;
	}
	while (g->n_opts % 4)
		g->opts[g->n_opts++] = 0;
	return true;
}

/* The option of timestamps, or NULL. */
static uint8_t *timestamps(struct seg *g)
{
	for (uint32_t i = 0; i + 10 <= g->n_opts; i += g->opts[i] < 2 ? 1 : g->opts[i + 1]) {
		if (g->opts[i] == 8)
			return g->opts + i;
		if (g->opts[i] > 1 && g->opts[i + 1] < 2)
			return NULL;
	}
	return NULL;
}

/* "S. 0:0(0) ack 1 win 5 <...>"; any_opts, any_win: not said. */
static bool read_packet(
	struct script *s, char *t, struct seg *g, uint32_t shift, bool *any_opts, bool *any_win)
{
	static const char letters[] = "FSRP.UEW";
	unsigned seq, end, len, v;
	char *opts = strchr(t, '<');
	int used;

	memset(g, 0, sizeof(*g));
	for (; *t && *t != ' '; t++) {
		const char *at = strchr(letters, *t);

		if (*t != '-' && !at)
			return stop(s, PD_NOT_READ, "flags");
		g->flags = (uint8_t)(g->flags | (*t == '-' ? 0 : 1 << (at - letters)));
	}
	if (sscanf(t, " %u:%u(%u)%n", &seq, &end, &len, &used) != 3 || end - seq != len)
		return stop(s, PD_NOT_READ, "numbers");
	g->seq = seq;
	g->len = len;
	t += used;
	if (sscanf(t, " ack %u%n", &v, &used) == 1)
		g->ack = v, t += used;
	*any_win = sscanf(t, " win %u%n", &v, &used) != 1;
	if (!*any_win)
		g->win = (uint16_t)v, t += used;
	if (sscanf(t, " urg %u%n", &v, &used) == 1)
		g->urg = (uint16_t)v, t += used;
	*any_opts = opts && strcmp(opts, "<...>") == 0;
	t += strspn(t, " ");
	if (t != (opts ? opts : t + strlen(t)))
		return stop(s, PD_NOT_READ, "a packet");
	if (!opts || *any_opts)
		return true;
	opts[strlen(opts) - 1] = 0;
	return read_options(g, opts + 1, shift) || stop(s, PD_NOT_READ, "options");
}

static bool inject(struct script *s, char *text)
{
	bool any_opts, any_win;
	uint8_t *ts;
	struct seg g;

	if (!read_packet(s, text, &g, s->iss, &any_opts, &any_win))
		return false;
	if ((g.flags & (F_SYN | F_ACK)) == F_SYN && s->isn_seen && !s->learned)
		return stop(s, PD_NOT_READ, "a second SYN before the first was answered");
	s->isn_seen = true;
	g.sport = s->rport;
	g.dport = s->lport;
	if (g.flags & F_ACK)
		g.ack += s->iss;
	ts = timestamps(&g);
	if (ts && get32(ts + 6) && s->ts_learned)
		put32(ts + 6, get32(ts + 6) + s->ts_off);
	pd_until(&s->h, s->from_us);
	pd_inject(&s->h, &g);
	return true;
}

static bool same_options(struct script *s, struct seg *want, struct seg *got)
{
	uint8_t *a = timestamps(want), *b = timestamps(got);

	if (a && b) {
		uint32_t v = get32(b + 2);

		if (!s->ts_learned)
			s->ts_off = v - get32(a + 2);
		s->ts_learned = true;
		if (v - s->ts_off - get32(a + 2) + 1 > 2)
			return false;
		memcpy(b + 2, a + 2, 4);
	}
	return want->n_opts == got->n_opts && memcmp(want->opts, got->opts, want->n_opts) == 0;
}

static bool expect(struct script *s, char *text)
{
	struct seg want, got, more;
	bool any_opts, any_win;
	long long slack = TOLERANCE_US;

	if (!read_packet(s, text, &want, 0, &any_opts, &any_win))
		return false;
	if (!pd_receive(&s->h, &got))
		return stop(s, PD_FAILED, "no packet came");
	while (got.len && got.len < want.len && pd_receive(&s->h, &more)) {
		if (more.seq != got.seq + got.len || more.ack != got.ack || !more.len)
			return stop(s, PD_FAILED, "the pieces do not fit");
		got.len += more.len;
		got.flags |= more.flags;
	}
	if (got.proto != IPPROTO_TCP)
		return stop(s, PD_FAILED, "another protocol");
	if (got.flags & F_SYN && (!s->learned || (got.seq != s->iss && want.seq == 0))) {
		s->iss = got.seq;
		s->learned = true;
		s->lport = got.sport;
		s->rport = got.dport;
	}
	if (got.flags & F_ACK)
		s->peer_next = got.ack;
	if (want.flags != got.flags || got.seq - s->iss != want.seq || got.len != want.len)
		return stop(s, PD_FAILED, "flags, number or length");
	if (got.flags & F_ACK && got.ack != want.ack)
		return stop(s, PD_FAILED, "ack");
	if ((!any_win && got.win != want.win) || got.urg != want.urg)
		return stop(s, PD_FAILED, "window");
	if (!any_opts && !same_options(s, &want, &got))
		return stop(s, PD_FAILED, "options");
	if (!s->any_time && (got.time_us < s->from_us - slack || got.time_us > s->to_us + slack))
		return stop(s, PD_FAILED, "time");
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static long arg_of(struct call *c, unsigned i)
{
	const char *t = c->arg[i];
	long v = 0;
	char text[96];

	snprintf(text, sizeof(text), "%s", *t == '[' ? t + 1 : t);
	text[strcspn(text, "]")] = 0;
	if (i >= c->n_args || !value_of(text, &v))
		c->bad = true;
	return v;
}

static int fd_of(struct call *c, unsigned i)
{
	long v = arg_of(c, i);

	return v >= 0 && v < 64 ? c->s->fd[v] : -1;
}

static long call_getsockopt(struct call *c)
{
	struct packetdrill_interface *f = &c->s->h.ifc;
	socklen_t len = (socklen_t)arg_of(c, 4), had = len;
	long want = arg_of(c, 3);
	int32_t v = 0;
	long r;

	if (len != 4)
		c->bad = true;
	if (c->bad)
		return 0;
	r = f->getsockopt(c->s->h.u, fd_of(c, 0), (int)arg_of(c, 1), (int)arg_of(c, 2), &v, &len);
	if (r == 0 && (len != had || v != want))
		stop(c->s, PD_FAILED, "getsockopt's value");
	return r;
}

static long call_setsockopt(struct call *c)
{
	struct packetdrill_interface *f = &c->s->h.ifc;
	int32_t v[2] = {0, 0};

	if (sscanf(c->arg[3], "{onoff=%d, linger=%d}", &v[0], &v[1]) != 2)
		v[0] = (int32_t)arg_of(c, 3);
	return c->bad ? 0
		      : f->setsockopt(c->s->h.u, fd_of(c, 0), (int)arg_of(c, 1), (int)arg_of(c, 2),
				v, (socklen_t)arg_of(c, 4));
}

static long call_poll(struct call *c)
{
	struct pollfd p = {0};
	char ev[64], rev[64];
	long e = 0, want = 0;
	int fd, r;

	if (sscanf(c->arg[0], "[{fd=%d, events=%63[A-Z|0-9], revents=%63[A-Z|0-9]}]", &fd, ev,
		    rev) != 3 ||
		!value_of(ev, &e) || !value_of(rev, &want) || fd < 0 || fd > 63) {
		c->bad = true;
		return 0;
	}
	p.fd = c->s->fd[fd];
	p.events = (short)e;
	r = c->s->h.ifc.poll(c->s->h.u, &p, 1, (int)arg_of(c, 2));
	if (p.revents != want)
		stop(c->s, PD_FAILED, "revents");
	return r;
}

static long call_ioctl(struct call *c)
{
	int v = -1, r = c->s->h.ifc.ioctl(c->s->h.u, fd_of(c, 0), (unsigned long)arg_of(c, 1), &v);

	if (r == 0 && v != arg_of(c, 2))
		stop(c->s, PD_FAILED, "ioctl's value");
	return r;
}

static long call_accept(struct call *c)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int r = c->s->h.ifc.accept(c->s->h.u, fd_of(c, 0), (struct sockaddr *)&a, &len);

	if (r >= 0 && (len != sizeof(a) || ntohl(a.sin_addr.s_addr) != PD_REMOTE_IP ||
			      ntohs(a.sin_port) != c->s->rport))
		stop(c->s, PD_FAILED, "accept's address");
	return r;
}

static long call_named(struct call *c, uint32_t ip)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
	struct packetdrill_interface *f = &c->s->h.ifc;

	a.sin_addr.s_addr = htonl(ip);
	if (strcmp(c->arg[1], "...") != 0) {
		c->bad = true;
		return 0;
	}
	return (c->name[0] == 'b' ? f->bind : f->connect)(
		c->s->h.u, fd_of(c, 0), (struct sockaddr *)&a, sizeof(a));
}

static long call_bytes(struct call *c)
{
	struct packetdrill_interface *f = &c->s->h.ifc;
	size_t n = (size_t)arg_of(c, 2);
	bool flags = c->n_args > 3;
	uint8_t *b = calloc(1, n + 1);
	void *u = c->s->h.u;
	long r = -1;

	if (!c->bad && strcmp(c->name, "read") == 0)
		r = f->read(u, fd_of(c, 0), b, n);
	else if (!c->bad && strcmp(c->name, "write") == 0)
		r = f->write(u, fd_of(c, 0), b, n);
	else if (!c->bad && flags && strcmp(c->name, "recv") == 0)
		r = f->recv(u, fd_of(c, 0), b, n, (int)arg_of(c, 3));
	else if (!c->bad && flags && strcmp(c->name, "send") == 0)
		r = f->send(u, fd_of(c, 0), b, n, (int)arg_of(c, 3));
	else
		c->bad = true;
	free(b);
	return r;
}

static long run(struct pd_host *h, void *arg)
{
	struct call *c = arg;
	struct packetdrill_interface *f = &h->ifc;

	if (strcmp(c->name, "socket") == 0)
		return f->socket(h->u, AF_INET, (int)arg_of(c, 1), (int)arg_of(c, 2));
	if (strcmp(c->name, "bind") == 0)
		return call_named(c, PD_LOCAL_IP);
	if (strcmp(c->name, "connect") == 0)
		return call_named(c, PD_REMOTE_IP);
	if (strcmp(c->name, "listen") == 0)
		return f->listen(h->u, fd_of(c, 0), (int)arg_of(c, 1));
	if (strcmp(c->name, "accept") == 0)
		return call_accept(c);
	if (strcmp(c->name, "shutdown") == 0)
		return f->shutdown(h->u, fd_of(c, 0), (int)arg_of(c, 1));
	if (strcmp(c->name, "close") == 0) {
		pd_forget(h, fd_of(c, 0));
		return f->close(h->u, fd_of(c, 0));
	}
	if (strcmp(c->name, "fcntl") == 0)
		return f->fcntl(h->u, fd_of(c, 0), (int)arg_of(c, 1),
			c->n_args > 2 ? (int)arg_of(c, 2) : 0);
	if (strcmp(c->name, "ioctl") == 0)
		return call_ioctl(c);
	if (strcmp(c->name, "getsockopt") == 0)
		return call_getsockopt(c);
	if (strcmp(c->name, "setsockopt") == 0)
		return call_setsockopt(c);
	return strcmp(c->name, "poll") == 0 ? call_poll(c) : call_bytes(c);
}

static bool finish(struct script *s, struct call *c, long r, int error)
{
	if (c->bad)
		return stop(s, PD_NOT_READ, c->name);
	if (r >= 0 && (strcmp(c->name, "socket") == 0 || strcmp(c->name, "accept") == 0) &&
		c->result >= 0 && c->result < 64) {
		s->fd[c->result] = pd_keep(&s->h, (int)r);
		return true;
	}
	if (!c->any_result && (r != c->result || (r < 0 && c->error && c->error != error))) {
		char text[96];

		snprintf(text, sizeof(text), "%s returned %ld (errno %d)", c->name, r, error);
		return stop(s, PD_FAILED, text);
	}
	return s->verdict == PD_PASSED;
}

/* name(arg, arg) = result ERRNO (text) */
static bool read_call(struct call *c, char *t)
{
	char result[40] = "", error[40] = "";
	int depth = 0;
	size_t n = 0;
	long e;

	if (sscanf(t, "%23[a-z0-9_](", c->name) != 1)
		return false;
	for (t += strlen(c->name) + 1; *t && !(*t == ')' && !depth); t++) {
		depth += *t == '[' || *t == '{' || *t == '(';
		depth -= *t == ']' || *t == '}' || *t == ')';
		if (*t == ',' && !depth) {
			c->n_args++;
			n = 0;
			t += t[1] == ' ';
		} else if (c->n_args < ARGS_MAX - 1 && n < sizeof(c->arg[0]) - 1) {
			c->arg[c->n_args][n++] = *t;
		} else {
			return false;
		}
	}
	c->n_args++;
	if (sscanf(t, ") = %39s %39s", result, error) < 1)
		return false;
	c->any_result = strcmp(result, "?") == 0;
	if (isupper((unsigned char)error[0]) && value_of(error, &e))
		c->error = (int)e;
	return c->any_result || value_of(result, &c->result);
}

static bool end_pending(struct script *s)
{
	if (!s->is_pending)
		return true;
	s->is_pending = false;
	if (!pd_await(&s->h))
		return stop(s, PD_FAILED, "a blocking call does not end");
	if (s->h.end_us > s->pending_end_us + TOLERANCE_US ||
		s->h.end_us < s->pending_end_us - TOLERANCE_US)
		return stop(s, PD_FAILED, "the end of a blocking call");
	return finish(s, &s->pending, s->h.result, s->h.error);
}

static bool call(struct script *s, char *text)
{
	struct call c = {.s = s};
	long r;

	if (!read_call(&c, text))
		return stop(s, PD_NOT_READ, text);
	if (s->blocking) {
		if (!end_pending(s))
			return false;
		s->pending = c;
		s->pending_end_us = s->to_us;
		s->is_pending = true;
		pd_block(&s->h, s->from_us, run, &s->pending);
		return true;
	}
	pd_until(&s->h, s->from_us);
	/* A call that is done by now tells its descriptor. */
	if (s->is_pending && s->h.state == PD_DONE && !end_pending(s))
		return false;
	errno = 0;
	r = run(&s->h, &c);
	return finish(s, &c, r, errno);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* "+.2~+.4 ", "0...0.2 ", "* "; returns what follows, or NULL. */
static char *read_time(struct script *s, char *t)
{
	char *end = strchr(t, ' '), *dots, *tilde;
	long long base = 0;

	if (!end)
		return NULL;
	*end++ = 0;
	dots = strstr(t, "...");
	tilde = strchr(t, '~');
	s->any_time = strcmp(t, "*") == 0;
	s->blocking = dots != NULL;
	s->from_us = s->to_us = pd_now_us(&s->h);
	if (s->any_time)
		return end;
	if (*t == '+')
		base = s->from_us;
	else if (!isdigit((unsigned char)*t) && *t != '.')
		return NULL;
	s->from_us = s->to_us = base + (long long)(strtod(t, NULL) * 1e6 + 0.5);
	if (dots)
		s->to_us = base + (long long)(strtod(dots + 3, NULL) * 1e6 + 0.5);
	if (tilde)
		s->to_us = base + (long long)(strtod(tilde + 1, NULL) * 1e6 + 0.5);
	return end;
}

static bool event(struct script *s, char *t)
{
	t = read_time(s, t);
	if (!t)
		return stop(s, PD_NOT_READ, "time");
	t += strspn(t, " ");
	if (strncmp(t, "< ", 2) == 0)
		return inject(s, t + 2);
	return strncmp(t, "> ", 2) == 0 ? expect(s, t + 2) : call(s, t);
}

/* Copies the next line; false: the end. */
static bool next_line(const char **text, char *line, size_t room)
{
	size_t n = strcspn(*text, "\n");

	if (!**text)
		return false;
	snprintf(line, room, "%.*s", (int)n, *text);
	*text += n + ((*text)[n] == '\n');
	n = strlen(line);
	while (n && isspace((unsigned char)line[n - 1]))
		line[--n] = 0;
	return true;
}

/* What a script asks for before it begins, as the adapter's flags. */
static bool read_flags(const char *text, char *flags)
{
	char line[512], name[64], value[64];
	size_t n;

	snprintf(flags, FLAGS_BYTES, "192.168.0.1/16,192.0.2.0/24,idle_ms=0");
	while (next_line(&text, line, sizeof(line))) {
		n = strlen(flags);
		if (sscanf(line, "//@ config %63s %63s", name, value) == 2)
			snprintf(flags + n, FLAGS_BYTES - n, ",%s=%s", name, value);
		else if (sscanf(line, "--mtu=%63s", value) == 1)
			snprintf(flags + n, FLAGS_BYTES - n, ",mtu=%s", value);
		else if (sscanf(line, "`sysctl -q %63[^`]`", value) == 1)
			snprintf(flags + n, FLAGS_BYTES - n, ",%s", value);
		else if (line[0] == '`' || strncmp(line, "--", 2) == 0 ||
			 strncmp(line, "//@ next", 8) == 0)
			return false;
	}
	return true;
}

enum pd_verdict pd_script(const char *text, char *why, size_t why_bytes)
{
	struct script *s = calloc(1, sizeof(*s));
	char flags[FLAGS_BYTES], line[512];
	enum pd_verdict v;

	ck_assert_ptr_nonnull(s);
	s->why = why;
	s->why_bytes = why_bytes;
	s->lport = 8080;
	s->rport = 40000;
	memset(s->fd, -1, sizeof(s->fd));
	if (!read_flags(text, flags)) {
		free(s);
		return PD_NOT_READ;
	}
	pd_open(&s->h, flags);
	while (next_line(&text, line, sizeof(line))) {
		s->line++;
		if (!*line || *line == '`' || strncmp(line, "//", 2) == 0 ||
			strncmp(line, "--", 2) == 0)
			continue;
		if (!event(s, line))
			break;
	}
	end_pending(s);
	v = s->verdict;
	/* As packetdrill: what had a connection is reset. */
	if (s->learned)
		pd_inject(&s->h, &(struct seg){.flags = F_RST | F_ACK,
					 .sport = s->rport,
					 .dport = s->lport,
					 .seq = s->peer_next,
					 .ack = s->iss + 1});
	pd_close(&s->h);
	free(s);
	return v;
}
