/* The packet-script engine: the table of calls, their arguments from the script and their results
 * against it. What the calls do is in drill_sock.c, drill_io.c, drill_msg.c, drill_opt.c and
 * drill_poll.c. Left out, and refused by name: splice, pipe, open, sendfile, which have a file at
 * one end, and capabilities. */
#include "sim/drill_call.h"

void drill_bad_arg(struct act *a, const struct expr *x, const char *why)
{
	if (!a->bad)
		drill_error(a->d, x ? x->pos : a->e->pos, why, "", 0);
	a->bad = true;
}

int64_t drill_number(struct act *a, const struct expr *x)
{
	static const char *const wraps[] = {"htons", "htonl", "ntohs", "ntohl"};

	if (x->kind == EXPR_INT)
		return x->value;
	for (size_t i = 0; x->kind == EXPR_CALL && i < ARRAY_LEN(wraps); i++)
		if (word_is(x->text, x->text_bytes, wraps[i]) && x->first && !x->first->next &&
			x->first->kind == EXPR_INT)
			return x->first->value;
	drill_bad_arg(a, x, "a number is expected here");
	return 0;
}

int drill_int_arg(struct act *a, unsigned i)
{
	return (int)drill_number(a, a->arg[i]);
}

int drill_fd(const struct drill *d, int64_t fd)
{
	if (fd < 0 || fd >= (int64_t)ARRAY_LEN(d->fd_map) || d->fd_map[fd] < 0)
		return -1;
	return d->fd_map[fd];
}

int drill_fd_arg(struct act *a, unsigned i)
{
	return drill_fd(a->d, drill_int_arg(a, i));
}

size_t drill_bytes_arg(struct act *a, unsigned i)
{
	int64_t n = drill_number(a, a->arg[i]);

	if (n < 0 || n > DRILL_BYTES_MAX)
		drill_bad_arg(a, a->arg[i], "at most 65536 bytes at a time");
	return a->bad ? 0 : (size_t)n;
}

/* ---- Structures ------------------------------------------------------------------------------ */

const struct expr *drill_member(const struct expr *x, const char *name, unsigned position)
{
	unsigned i = 0;

	for (const struct expr *m = x->first; m; m = m->next, i++)
		if (m->name ? word_is(m->name, m->name_bytes, name) : i == position)
			return m;
	return NULL;
}

int64_t drill_member_int(struct act *a, const struct expr *x, const char *name, unsigned position)
{
	const struct expr *m = drill_member(x, name, position);

	if (!m) {
		drill_bad_arg(a, x, "a member is missing here");
		return 0;
	}
	return drill_number(a, m);
}

void drill_only(struct act *a, const struct expr *x, const char *const *names, unsigned n)
{
	for (const struct expr *m = x->first; m && !a->bad; m = m->next) {
		bool known = !m->name;

		for (unsigned i = 0; i < n && !known; i++)
			known = word_is(m->name, m->name_bytes, names[i]);
		if (!known) {
			a->bad = true;
			drill_error(a->d, m->pos, "a member '%S' is not known here", m->name,
				m->name_bytes);
		}
	}
}

int64_t drill_boxed(struct act *a, const struct expr *x)
{
	if (x->kind != EXPR_LIST || !x->first || x->first->next) {
		drill_bad_arg(a, x, "[N] is expected here");
		return 0;
	}
	return drill_number(a, x->first);
}

void drill_wrong_value(struct act *a, const char *what, int64_t want, int64_t got)
{
	struct text t = text_in(a->d->r->wanted, sizeof(a->d->r->wanted));

	if (a->d->failed)
		return;
	text_add(&t, "%s%s%d", what, *what ? " " : "", want);
	t = text_in(a->d->r->got, sizeof(a->d->r->got));
	text_add(&t, "%s%s%d", what, *what ? " " : "", got);
	drill_fail(a->d, a->e, "the call tells another value");
}

/* ---- The table ------------------------------------------------------------------------------- */

#define VERB(name, min, max, fd)                                                                   \
	{                                                                                          \
#name, drill_do_##name, min, max, fd                                               \
	}
#define WITHOUT(name)                                                                              \
	{                                                                                          \
#name, NULL, 0, 0, false                                                           \
	}

static const struct verb {
	const char *name;
	int64_t (*run)(struct act *a); /* NULL: packetdrill has it, we have not */
	uint8_t min_args, max_args;
	bool makes_fd;
} verbs[] = {VERB(socket, 3, 3, true), VERB(bind, 3, 3, false), VERB(listen, 2, 2, false),
	VERB(accept, 3, 3, true), VERB(accept4, 4, 4, true), VERB(connect, 3, 3, false),
	VERB(read, 3, 3, false), VERB(recv, 4, 4, false), VERB(recvfrom, 6, 6, false),
	VERB(write, 3, 3, false), VERB(send, 4, 4, false), VERB(sendto, 6, 6, false),
	VERB(readv, 3, 3, false), VERB(writev, 3, 3, false), VERB(sendmsg, 3, 3, false),
	VERB(recvmsg, 3, 3, false), VERB(sendmmsg, 4, 4, false), VERB(shutdown, 2, 2, false),
	VERB(close, 1, 1, false), VERB(dup, 1, 1, true), VERB(getsockname, 3, 3, false),
	VERB(getpeername, 3, 3, false), VERB(fcntl, 2, 3, false), VERB(ioctl, 3, 3, false),
	VERB(setsockopt, 5, 5, false), VERB(getsockopt, 5, 5, false), VERB(poll, 3, 3, false),
	VERB(epoll_create, 1, 1, true), VERB(epoll_create1, 1, 1, true),
	VERB(epoll_ctl, 4, 4, false), VERB(epoll_wait, 4, 4, false), WITHOUT(splice), WITHOUT(pipe),
	WITHOUT(open), WITHOUT(sendfile), WITHOUT(cap_set)};

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
	bool good = c->error ? r == -c->error : c->any_error ? r < 0 : r == want;
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
	uint64_t slack = e->slack_ns;
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
	if (!v->run)
		return drill_error(d, pos, "%S is not supported", c->name, c->name_bytes);
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
