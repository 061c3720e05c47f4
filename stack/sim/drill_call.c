/* The packet-script engine: socket calls, their arguments from the script and their results against
 * it. Left out so far: sendmsg, recvmsg, readv, writev, epoll, getsockname. */
#include "sim/drill.h"

#define MAX_BYTES 65536u /* of one read or write */

/* A call under way: arguments by position. */
struct act {
	struct drill *d;
	const struct drill_event *e;
	const struct drill_call *c;
	const struct expr *arg[8];
	bool bad; /* an argument makes no sense: the error is set */
};

static void bad_arg(struct act *a, const struct expr *x, const char *why)
{
	if (!a->bad)
		drill_error(a->d, x ? x->pos : a->e->pos, why, "", 0);
	a->bad = true;
}

static int int_arg(struct act *a, unsigned i)
{
	if (a->arg[i]->kind != EXPR_INT) {
		bad_arg(a, a->arg[i], "a number is expected here");
		return 0;
	}
	return (int)a->arg[i]->value;
}

static size_t size_arg(struct act *a, unsigned i)
{
	int v = int_arg(a, i);

	return v < 0 ? 0 : (size_t)v;
}

int drill_fd(const struct drill *d, int64_t fd)
{
	if (fd < 0 || fd >= (int64_t)ARRAY_LEN(d->fd_map) || d->fd_map[fd] < 0)
		return -1;
	return d->fd_map[fd];
}

static int fd_arg(struct act *a, unsigned i)
{
	return drill_fd(a->d, int_arg(a, i));
}

/* ---- Structures ------------------------------------------------------------------------------ */

/* The member of that name, or the position-th if members have no names. */
static const struct expr *member(const struct expr *x, const char *name, unsigned position)
{
	unsigned i = 0;

	for (const struct expr *m = x->first; m; m = m->next, i++)
		if (m->name ? word_is(m->name, m->name_bytes, name) : i == position)
			return m;
	return NULL;
}

static int64_t member_int(struct act *a, const struct expr *x, const char *name, unsigned position)
{
	const struct expr *m = member(x, name, position);

	if (m && m->kind == EXPR_CALL && m->first && m->first->kind == EXPR_INT)
		m = m->first; /* htons(N) */
	if (!m || m->kind != EXPR_INT) {
		bad_arg(a, x, "a member is missing here, or is no number");
		return 0;
	}
	return m->value;
}

/* inet_addr("192.0.2.1"), INADDR_ANY, htonl(...) */
static uint32_t member_ip(struct act *a, const struct expr *x)
{
	const struct expr *m = member(x, "sin_addr", 2);
	char buf[20];
	struct tg_ip ip;

	if (m && m->kind == EXPR_CALL && m->first)
		m = m->first;
	if (m && m->kind == EXPR_INT)
		return (uint32_t)m->value;
	if (m && m->kind == EXPR_STRING && m->text_bytes < sizeof(buf)) {
		memcpy(buf, m->text, m->text_bytes);
		buf[m->text_bytes] = 0;
		if (tg_ip_parse(buf, &ip))
			return tg_ip4_value(&ip);
	}
	bad_arg(a, m ? m : x, "an IPv4 address is expected here");
	return 0;
}

/* "..." stands for the address and port of the run. */
static struct tg_addr addr_arg(struct act *a, unsigned i, uint32_t ip, uint16_t port)
{
	const struct expr *x = a->arg[i];

	if (x->kind == EXPR_STRUCT) {
		port = (uint16_t)member_int(a, x, "sin_port", 1);
		ip = member_ip(a, x);
	} else if (x->kind != EXPR_ANY) {
		bad_arg(a, x, "an address is '...' or {sa_family=..., sin_port=..., sin_addr=...}");
	}
	if (!ip)
		return (struct tg_addr){.port = port};
	return (struct tg_addr){tg_ip4_of(ip), port};
}

/* ---- The calls ------------------------------------------------------------------------------- */

static int64_t do_socket(struct act *a)
{
	int domain = a->arg[0]->kind == EXPR_ANY ? BSD_AF_INET : int_arg(a, 0);

	return bsd_socket(&a->d->bsd, domain, int_arg(a, 1), int_arg(a, 2));
}

static int64_t do_bind(struct act *a)
{
	struct tg_addr at = addr_arg(a, 1, a->d->o.local_ip, a->d->o.bind_port);

	return bsd_bind(&a->d->bsd, fd_arg(a, 0), &at);
}

static int64_t do_listen(struct act *a)
{
	return bsd_listen(&a->d->bsd, fd_arg(a, 0), int_arg(a, 1));
}

static int64_t accept_with(struct act *a, int flags)
{
	struct tg_addr peer;
	int r = bsd_accept(&a->d->bsd, fd_arg(a, 0), &peer, flags);

	if (r >= 0 && tg_ip4_value(&peer.ip) != a->d->o.remote_ip)
		drill_fail(a->d, a->e, "accept does not tell the peer's address");
	return r;
}

static int64_t do_accept(struct act *a)
{
	return accept_with(a, 0);
}

static int64_t do_accept4(struct act *a)
{
	return accept_with(a, int_arg(a, 3));
}

/* A connected datagram socket sends nothing by itself: its ports are the current flow from now on.
 */
static void connected_dgram(struct act *a, int fd, const struct tg_addr *to)
{
	struct drill *d = a->d;
	uint32_t len = sizeof(int32_t);
	struct tg_addr local;
	struct drill_flow *f;
	int32_t type = 0;

	bsd_getsockopt(&d->bsd, fd, BSD_SOL_SOCKET, BSD_SO_TYPE, &type, &len);
	if (type != BSD_SOCK_DGRAM || bsd_getsockname(&d->bsd, fd, &local) < 0)
		return;
	f = drill_flow(d, local.port, to->port);
	if (f)
		d->cur_flow = (uint32_t)(f - d->flows);
}

static int64_t do_connect(struct act *a)
{
	struct tg_addr to = addr_arg(a, 1, a->d->o.remote_ip, a->d->o.connect_port);
	int fd = fd_arg(a, 0);
	int r;

	for (uint32_t i = 0; i < a->d->n_flows; i++)
		a->d->flows[i].relearn = true;
	r = bsd_connect(&a->d->bsd, fd, &to);
	if (r == 0)
		connected_dgram(a, fd, &to);
	return r;
}

static size_t bytes_arg(struct act *a, unsigned i)
{
	size_t n = size_arg(a, i);

	if (n > MAX_BYTES)
		bad_arg(a, a->arg[i], "at most 65536 bytes at a time");
	return n > MAX_BYTES ? 0 : n;
}

static int64_t do_read(struct act *a)
{
	return bsd_read(&a->d->bsd, fd_arg(a, 0), a->d->payload, bytes_arg(a, 2));
}

static int64_t do_recv(struct act *a)
{
	return bsd_recv(&a->d->bsd, fd_arg(a, 0), a->d->payload, bytes_arg(a, 2), int_arg(a, 3));
}

static int64_t do_recvfrom(struct act *a)
{
	struct tg_addr from;

	return bsd_recvfrom(
		&a->d->bsd, fd_arg(a, 0), a->d->payload, bytes_arg(a, 2), int_arg(a, 3), &from);
}

static const void *zeros(struct act *a)
{
	memset(a->d->payload, 0, MAX_BYTES);
	return a->d->payload;
}

static int64_t do_write(struct act *a)
{
	return bsd_write(&a->d->bsd, fd_arg(a, 0), zeros(a), bytes_arg(a, 2));
}

static int64_t do_send(struct act *a)
{
	return bsd_send(&a->d->bsd, fd_arg(a, 0), zeros(a), bytes_arg(a, 2), int_arg(a, 3));
}

static int64_t do_sendto(struct act *a)
{
	struct tg_addr to = addr_arg(a, 4, a->d->o.remote_ip, a->d->o.connect_port);

	return bsd_sendto(&a->d->bsd, fd_arg(a, 0), zeros(a), bytes_arg(a, 2), int_arg(a, 3), &to);
}

static int64_t do_shutdown(struct act *a)
{
	return bsd_shutdown(&a->d->bsd, fd_arg(a, 0), int_arg(a, 1));
}

static int64_t do_close(struct act *a)
{
	int64_t r = bsd_close(&a->d->bsd, fd_arg(a, 0));

	if (r >= 0)
		a->d->fd_map[a->arg[0]->value] = -1;
	return r;
}

static int64_t do_fcntl(struct act *a)
{
	return bsd_fcntl(&a->d->bsd, fd_arg(a, 0), int_arg(a, 1), a->arg[2] ? int_arg(a, 2) : 0);
}

/* The one number in "[N]". */
static int64_t boxed(struct act *a, const struct expr *x)
{
	if (x->kind != EXPR_LIST || !x->first || x->first->kind != EXPR_INT) {
		bad_arg(a, x, "[N] is expected here");
		return 0;
	}
	return x->first->value;
}

static void wrong_value(struct act *a, int64_t want, int64_t got)
{
	struct text t = text_in(a->d->r->wanted, sizeof(a->d->r->wanted));

	text_add(&t, "%d", want);
	t = text_in(a->d->r->got, sizeof(a->d->r->got));
	text_add(&t, "%d", got);
	drill_fail(a->d, a->e, "the call tells another value");
}

static int64_t do_ioctl(struct act *a)
{
	bool known = a->arg[2]->kind != EXPR_ANY;
	int64_t want = known ? boxed(a, a->arg[2]) : 0;
	int v = (int)want;
	int r = bsd_ioctl(&a->d->bsd, fd_arg(a, 0), (unsigned long)int_arg(a, 1), &v);

	if (r >= 0 && known && v != want)
		wrong_value(a, want, v);
	return r;
}

/* An option's value: [N], {onoff=1, linger=0}, {tv_sec=1, tv_usec=0}. Bytes. */
static uint32_t option_value(struct act *a, const struct expr *x, uint8_t out[16])
{
	struct bsd_timeval tv;
	struct bsd_linger l;
	int32_t v;

	if (x->kind != EXPR_STRUCT) {
		v = (int32_t)boxed(a, x);
		memcpy(out, &v, sizeof(v));
		return sizeof(v);
	}
	if (member(x, "tv_sec", 99)) {
		tv.sec = member_int(a, x, "tv_sec", 0);
		tv.usec = member_int(a, x, "tv_usec", 1);
		memcpy(out, &tv, sizeof(tv));
		return sizeof(tv);
	}
	l.onoff = (int32_t)member_int(a, x, "onoff", 0);
	l.linger_s = (int32_t)member_int(a, x, "linger", 1);
	memcpy(out, &l, sizeof(l));
	return sizeof(l);
}

static int64_t do_setsockopt(struct act *a)
{
	uint8_t value[16];

	option_value(a, a->arg[3], value);
	if (a->bad)
		return 0;
	return bsd_setsockopt(&a->d->bsd, fd_arg(a, 0), int_arg(a, 1), int_arg(a, 2), value,
		min_u32((uint32_t)int_arg(a, 4), sizeof(value)));
}

static int64_t do_getsockopt(struct act *a)
{
	bool known = a->arg[3]->kind != EXPR_ANY;
	uint8_t want[16] = {0}, got[16] = {0};
	uint32_t n = known ? option_value(a, a->arg[3], want) : sizeof(got);
	uint32_t room = a->arg[4]->kind == EXPR_ANY ? sizeof(got) : (uint32_t)boxed(a, a->arg[4]);
	int32_t w, g;
	int r;

	room = min_u32(room, sizeof(got));
	r = a->bad ? 0
		   : bsd_getsockopt(
			     &a->d->bsd, fd_arg(a, 0), int_arg(a, 1), int_arg(a, 2), got, &room);
	if (r < 0 || !known || memcmp(want, got, n) == 0)
		return r;
	memcpy(&w, want, sizeof(w));
	memcpy(&g, got, sizeof(g));
	wrong_value(a, w, g);
	return r;
}

static int64_t do_poll(struct act *a)
{
	struct bsd_pollfd p[8], want[8];
	const struct expr *x = a->arg[0]->first;
	unsigned n = 0;
	int r;

	for (; x && n < ARRAY_LEN(p); x = x->next, n++) {
		want[n].fd = (int)member_int(a, x, "fd", 0);
		want[n].events = (int16_t)member_int(a, x, "events", 1);
		want[n].revents = (int16_t)member_int(a, x, "revents", 2);
		p[n] = (struct bsd_pollfd){drill_fd(a->d, want[n].fd), want[n].events, 0};
	}
	if (a->arg[0]->kind != EXPR_LIST || x || (int)n != int_arg(a, 1))
		bad_arg(a, a->arg[0],
			"[{fd=N, events=..., revents=...}, ...] and their number, up to 8");
	if (a->bad)
		return 0;
	r = bsd_poll(&a->d->bsd, p, n, int_arg(a, 2));
	for (unsigned i = 0; i < n && r >= 0; i++)
		if (p[i].revents != want[i].revents)
			wrong_value(a, want[i].revents, p[i].revents);
	return r;
}

static const struct verb {
	const char *name;
	int64_t (*run)(struct act *a);
	uint8_t min_args, max_args;
	bool makes_fd;
} verbs[] = {{"socket", do_socket, 3, 3, true}, {"bind", do_bind, 3, 3, false},
	{"listen", do_listen, 2, 2, false}, {"accept", do_accept, 3, 3, true},
	{"accept4", do_accept4, 4, 4, true}, {"connect", do_connect, 3, 3, false},
	{"read", do_read, 3, 3, false}, {"recv", do_recv, 4, 4, false},
	{"recvfrom", do_recvfrom, 6, 6, false}, {"write", do_write, 3, 3, false},
	{"send", do_send, 4, 4, false}, {"sendto", do_sendto, 6, 6, false},
	{"shutdown", do_shutdown, 2, 2, false}, {"close", do_close, 1, 1, false},
	{"fcntl", do_fcntl, 2, 3, false}, {"ioctl", do_ioctl, 3, 3, false},
	{"setsockopt", do_setsockopt, 5, 5, false}, {"getsockopt", do_getsockopt, 5, 5, false},
	{"poll", do_poll, 3, 3, false}};

/* ---- Results --------------------------------------------------------------------------------- */

static void print_result(struct text *t, int64_t value, int error)
{
	const char *name = drill_errno_name(error);

	if (!error)
		text_add(t, "%d", value);
	else if (name)
		text_add(t, "-1 %s", name);
	else
		text_add(t, "-1 (error %d)", (int64_t)error);
}

static bool check_result(struct drill *d, const struct drill_event *e, int64_t r, bool makes_fd)
{
	const struct drill_call *c = e->call;
	int64_t want = c->result->value;
	bool good = c->error ? r == -c->error : r == want;
	struct text t;

	if (makes_fd && r >= 0 && want >= 0 && !c->error && c->result->kind == EXPR_INT) {
		if (want >= (int64_t)ARRAY_LEN(d->fd_map) || d->fd_map[want] >= 0)
			return drill_error(d, c->result->pos,
				"this descriptor is in use, or too large", "", 0);
		d->fd_map[want] = (int)r;
		return true;
	}
	if (good || c->result->kind == EXPR_ANY)
		return true;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	print_result(&t, want, c->error);
	t = text_in(d->r->got, sizeof(d->r->got));
	print_result(&t, r, r < 0 ? (int)-r : 0);
	return drill_fail(d, e, "another result than expected");
}

/* A blocking call has to end when the script says. */
static bool check_end(struct drill *d, const struct drill_event *e)
{
	uint64_t slack = d->o.tolerance_us * NS_PER_US;
	struct text t;

	if (!e->blocking || (d->now_ns + slack >= e->until_ns && d->now_ns <= e->until_ns + slack))
		return true;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, "it returns at %t", e->until_ns - DRILL_START_NS);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, "it returns at %t", d->now_ns - DRILL_START_NS);
	return drill_fail(d, e, "the call blocks for another time than expected");
}

static const struct verb *verb_find(const struct drill_call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (word_is(c->name, c->name_bytes, verbs[i].name))
			return &verbs[i];
	return NULL;
}

bool drill_check_call(struct drill *d, struct drill_pos pos, const struct drill_call *c)
{
	const struct verb *v = verb_find(c);

	if (!v)
		return drill_error(d, pos, "unknown call '%S'", c->name, c->name_bytes);
	if (c->n_args < v->min_args || c->n_args > v->max_args)
		return drill_error(
			d, pos, "wrong number of arguments for %S", c->name, c->name_bytes);
	return true;
}

bool drill_run_call(struct drill *d, const struct drill_event *e)
{
	struct act a = {.d = d, .e = e, .c = e->call};
	const struct verb *v = verb_find(a.c);
	unsigned n = 0;
	int64_t r;

	for (const struct expr *x = a.c->args; x; x = x->next)
		a.arg[n++] = x;
	d->blocks = false;
	r = v->run(&a);
	if (d->failed || a.bad)
		return false;
	if (d->blocks)
		return drill_fail(d, e, "the call blocks");
	if (!check_end(d, e) || !check_result(d, e, r, v->makes_fd))
		return false;
	drill_settle(d);
	return !d->failed;
}
