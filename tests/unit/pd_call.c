/* What pd_script.h declares: the calls of a script, through the table of the adapter. */
#include "pd_script.h"

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
	{"TCP_QUICKACK", TCP_QUICKACK}, {"TCP_NOTSENT_LOWAT", TCP_NOTSENT_LOWAT},
	{"F_SETFL", F_SETFL}, {"F_GETFL", F_GETFL}, {"O_RDWR", O_RDWR}, {"O_NONBLOCK", O_NONBLOCK},
	{"SHUT_RD", SHUT_RD}, {"SHUT_WR", SHUT_WR}, {"SHUT_RDWR", SHUT_RDWR},
	{"MSG_PEEK", MSG_PEEK}, {"MSG_OOB", MSG_OOB}, {"MSG_WAITALL", MSG_WAITALL},
	{"MSG_TRUNC", MSG_TRUNC}, {"MSG_DONTWAIT", MSG_DONTWAIT}, {"MSG_MORE", MSG_MORE},
	{"FIONREAD", FIONREAD}, {"SIOCINQ", SIOCINQ}, {"SIOCOUTQ", SIOCOUTQ}, {"POLLIN", POLLIN},
	{"POLLOUT", POLLOUT}, {"POLLPRI", POLLPRI}, {"POLLERR", POLLERR}, {"POLLHUP", POLLHUP},
	{"POLLRDHUP", POLLRDHUP}, {"EAGAIN", EAGAIN}, {"EINPROGRESS", EINPROGRESS},
	{"EPIPE", EPIPE}, {"ECONNRESET", ECONNRESET}, {"ECONNREFUSED", ECONNREFUSED},
	{"ENOTCONN", ENOTCONN}, {"EISCONN", EISCONN}, {"EALREADY", EALREADY}, {"EINVAL", EINVAL},
	{"EBADF", EBADF}, {"EADDRINUSE", EADDRINUSE}, {"ETIMEDOUT", ETIMEDOUT},
	{"ECONNABORTED", ECONNABORTED}, {"EHOSTUNREACH", EHOSTUNREACH},
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
		script_stop(c->s, PD_FAILED, "getsockopt's value");
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
		script_stop(c->s, PD_FAILED, "revents");
	return r;
}

static long call_ioctl(struct call *c)
{
	int v = -1, r = c->s->h.ifc.ioctl(c->s->h.u, fd_of(c, 0), (unsigned long)arg_of(c, 1), &v);

	if (r == 0 && v != arg_of(c, 2))
		script_stop(c->s, PD_FAILED, "ioctl's value");
	return r;
}

static long call_accept(struct call *c)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int r = c->s->h.ifc.accept(c->s->h.u, fd_of(c, 0), (struct sockaddr *)&a, &len);

	if (r >= 0 && (len != sizeof(a) || ntohl(a.sin_addr.s_addr) != PD_REMOTE_IP ||
			      ntohs(a.sin_port) != c->s->rport))
		script_stop(c->s, PD_FAILED, "accept's address");
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
		return script_stop(s, PD_NOT_READ, c->name);
	if (r >= 0 && (strcmp(c->name, "socket") == 0 || strcmp(c->name, "accept") == 0) &&
		c->result >= 0 && c->result < 64) {
		s->fd[c->result] = pd_keep(&s->h, (int)r);
		return true;
	}
	if (!c->any_result && (r != c->result || (r < 0 && c->error && c->error != error))) {
		char text[96];

		snprintf(text, sizeof(text), "%s returned %ld (errno %d)", c->name, r, error);
		return script_stop(s, PD_FAILED, text);
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

bool script_end_pending(struct script *s)
{
	if (!s->is_pending)
		return true;
	s->is_pending = false;
	if (!pd_await(&s->h))
		return script_stop(s, PD_FAILED, "a blocking call does not end");
	if (s->h.end_us > s->pending_end_us + TOLERANCE_US ||
		s->h.end_us < s->pending_end_us - TOLERANCE_US)
		return script_stop(s, PD_FAILED, "the end of a blocking call");
	return finish(s, &s->pending, s->h.result, s->h.error);
}

bool script_call(struct script *s, char *text)
{
	struct call c = {.s = s};
	long r;

	if (!read_call(&c, text))
		return script_stop(s, PD_NOT_READ, text);
	if (s->blocking) {
		if (!script_end_pending(s))
			return false;
		s->pending = c;
		s->pending_end_us = s->to_us;
		s->is_pending = true;
		pd_block(&s->h, s->from_us, run, &s->pending);
		return true;
	}
	pd_until(&s->h, s->from_us);
	/* A call that is done by now tells its descriptor. */
	if (s->is_pending && s->h.state == PD_DONE && !script_end_pending(s))
		return false;
	errno = 0;
	r = run(&s->h, &c);
	return finish(s, &c, r, errno);
}
