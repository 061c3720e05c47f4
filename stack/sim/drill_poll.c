/* The packet-script engine: poll and epoll. An event of an epoll set is {events=..., fd=N}, or
 * ptr=, u32=, u64= for its data; what epoll_wait gives is one such, or a list of them in the order
 * in which they come. */
#include "sim/drill_call.h"

#define MAX_EVENTS 16
#define NO_FD      INT32_MAX /* a number that is open to nobody */

static const char *const poll_names[] = {"fd", "events", "revents"};
static const char *const epoll_names[] = {"events", "fd", "ptr", "u32", "u64"};

static int16_t revents_of(struct act *a, const struct expr *x)
{
	const struct expr *m = drill_member(x, "revents", 2);

	return (int16_t)(m ? drill_number(a, m) : 0);
}

CALL(poll)
{
	struct bsd_pollfd p[MAX_EVENTS], want[MAX_EVENTS];
	const struct expr *x = a->arg[0]->first;
	unsigned n = 0;
	int r;

	for (; x && n < MAX_EVENTS && !a->bad; x = x->next, n++) {
		drill_only(a, x, poll_names, ARRAY_LEN(poll_names));
		want[n].fd = (int)drill_member_int(a, x, "fd", 0);
		want[n].events = (int16_t)drill_member_int(a, x, "events", 1);
		want[n].revents = revents_of(a, x);
		p[n] = (struct bsd_pollfd){drill_fd(a->d, want[n].fd), want[n].events, 0};
		if (p[n].fd < 0 && want[n].fd >= 0)
			p[n].fd = NO_FD;
	}
	if (a->arg[0]->kind != EXPR_LIST || x || (int)n != drill_int_arg(a, 1))
		drill_bad_arg(a, a->arg[0],
			"[{fd=N, events=..., revents=...}, ...] and their number, up to 16");
	if (a->bad)
		return 0;
	r = bsd_poll(&a->d->bsd, p, n, drill_int_arg(a, 2));
	for (unsigned i = 0; i < n && r >= 0 && !a->d->failed; i++)
		if (p[i].revents != want[i].revents)
			drill_wrong_value(a, "revents", want[i].revents, p[i].revents);
	return r;
}

/* ---- epoll ----------------------------------------------------------------------------------- */

CALL(epoll_create)
{
	if (drill_int_arg(a, 0) <= 0)
		return -TG_EINVAL;
	return bsd_epoll_create(&a->d->bsd);
}

CALL(epoll_create1)
{
	if (drill_int_arg(a, 0) & ~BSD_SOCK_CLOEXEC)
		return -TG_EINVAL;
	return bsd_epoll_create(&a->d->bsd);
}

/* The data of an event: whichever of its names is there. */
static const struct expr *data_of(const struct expr *x)
{
	for (unsigned i = 1; i < ARRAY_LEN(epoll_names); i++) {
		const struct expr *m = drill_member(x, epoll_names[i], 1);

		if (m)
			return m;
	}
	return NULL;
}

static struct bsd_epoll_event event_of(struct act *a, const struct expr *x)
{
	struct bsd_epoll_event ev = {0};
	const struct expr *data;

	if (x->kind != EXPR_STRUCT) {
		drill_bad_arg(a, x, "{events=..., fd=N} is expected here");
		return ev;
	}
	drill_only(a, x, epoll_names, ARRAY_LEN(epoll_names));
	ev.events = (uint32_t)drill_member_int(a, x, "events", 0);
	data = data_of(x);
	if (data && data->kind != EXPR_ANY)
		ev.data = (uint64_t)drill_number(a, data);
	return ev;
}

CALL(epoll_ctl)
{
	struct bsd_epoll_event ev = {0};
	const struct expr *x = a->arg[3];

	if (x->kind == EXPR_STRUCT)
		ev = event_of(a, x);
	else if (x->kind != EXPR_ANY && !(x->kind == EXPR_INT && x->value == 0))
		drill_bad_arg(a, x, "{events=..., fd=N} is expected here");
	if (a->bad)
		return 0;
	return bsd_epoll_ctl(
		&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1), drill_fd_arg(a, 2), &ev);
}

static void check_event(struct act *a, const struct expr *x, const struct bsd_epoll_event *got)
{
	struct bsd_epoll_event want = event_of(a, x);
	const struct expr *data = a->bad ? NULL : data_of(x);

	if (a->bad)
		return;
	if (want.events != got->events)
		drill_wrong_value(a, "events", want.events, got->events);
	else if (data && data->kind != EXPR_ANY && want.data != got->data)
		drill_wrong_value(a, "data", (int64_t)want.data, (int64_t)got->data);
}

CALL(epoll_wait)
{
	const struct expr *x = a->arg[1];
	struct bsd_epoll_event got[MAX_EVENTS];
	int max = drill_int_arg(a, 2), r;

	if (a->bad)
		return 0;
	r = bsd_epoll_wait(&a->d->bsd, drill_fd_arg(a, 0), got, max > MAX_EVENTS ? MAX_EVENTS : max,
		drill_int_arg(a, 3));
	if (r <= 0 || x->kind == EXPR_ANY || a->d->failed || a->d->blocks)
		return r;
	if (x->kind == EXPR_STRUCT) {
		check_event(a, x, &got[0]);
		return r;
	}
	if (x->kind != EXPR_LIST)
		drill_bad_arg(a, x, "{events=..., fd=N} or a list of these is expected here");
	x = x->first;
	for (int i = 0; i < r && x && !a->bad && !a->d->failed; i++, x = x->next)
		if (x->kind != EXPR_ANY)
			check_event(a, x, &got[i]);
	return r;
}
