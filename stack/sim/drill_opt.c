/* The packet-script engine: options of sockets, fcntl, ioctl. */
#include "sim/drill_call.h"

#define VALUE_BYTES 512u

CALL(fcntl)
{
	return bsd_fcntl(&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1),
		a->arg[2] ? drill_int_arg(a, 2) : 0);
}

CALL(ioctl)
{
	bool known = a->arg[2]->kind != EXPR_ANY;
	int64_t want = known ? drill_boxed(a, a->arg[2]) : 0;
	int v = (int)want, r;

	if (a->bad)
		return 0;
	r = bsd_ioctl(&a->d->bsd, drill_fd_arg(a, 0), (unsigned long)drill_int_arg(a, 1), &v);
	if (r >= 0 && known && v != want)
		drill_wrong_value(a, "", want, v);
	return r;
}

/* {onoff=1, linger=0} or {tv_sec=1, tv_usec=0}. Bytes. */
static uint32_t struct_value(struct act *a, const struct expr *x, uint8_t *out)
{
	static const char *const names[] = {
		"onoff", "linger", "l_onoff", "l_linger", "tv_sec", "tv_usec"};
	bool long_names = drill_member(x, "l_onoff", 99) != NULL;
	struct bsd_timeval tv;
	struct bsd_linger l;

	drill_only(a, x, names, ARRAY_LEN(names));
	if (a->bad)
		return 0;
	if (drill_member(x, "tv_sec", 99)) {
		tv.sec = drill_member_int(a, x, "tv_sec", 0);
		tv.usec = drill_member_int(a, x, "tv_usec", 1);
		memcpy(out, &tv, sizeof(tv));
		return sizeof(tv);
	}
	l.onoff = (int32_t)drill_member_int(a, x, long_names ? "l_onoff" : "onoff", 0);
	l.linger_s = (int32_t)drill_member_int(a, x, long_names ? "l_linger" : "linger", 1);
	memcpy(out, &l, sizeof(l));
	return sizeof(l);
}

/* An option's value: [N], N, "text", a struct. Bytes. */
static uint32_t option_value(struct act *a, const struct expr *x, uint8_t out[VALUE_BYTES])
{
	int32_t v;

	if (x->kind == EXPR_STRUCT)
		return struct_value(a, x, out);
	if (x->kind == EXPR_STRING) {
		uint32_t n = min_u32(x->text_bytes, VALUE_BYTES - 1);

		memcpy(out, x->text, n);
		return n + 1; /* with the NUL */
	}
	v = (int32_t)(x->kind == EXPR_LIST ? drill_boxed(a, x) : drill_number(a, x));
	memcpy(out, &v, sizeof(v));
	return sizeof(v);
}

CALL(setsockopt)
{
	uint8_t value[VALUE_BYTES] = {0};
	uint32_t n = option_value(a, a->arg[3], value);
	int len = drill_int_arg(a, 4);

	if (a->bad)
		return 0;
	if (len > (int)n && a->arg[3]->kind == EXPR_LIST)
		n = VALUE_BYTES; /* as packetdrill: more than an int is zeros */
	if (len > (int)n) {
		drill_bad_arg(a, a->arg[4], "this is longer than the value");
		return 0;
	}
	return bsd_setsockopt(&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1),
		drill_int_arg(a, 2), value, (uint32_t)len);
}

static void print_value(struct text *t, const struct expr *x, const uint8_t *v)
{
	struct bsd_timeval tv;
	struct bsd_linger l;
	int32_t i;

	if (x->kind == EXPR_STRING) {
		text_add(t, "\"%s\"", (const char *)v);
	} else if (x->kind == EXPR_STRUCT && drill_member(x, "tv_sec", 99)) {
		memcpy(&tv, v, sizeof(tv));
		text_add(t, "{tv_sec=%d, tv_usec=%d}", tv.sec, tv.usec);
	} else if (x->kind == EXPR_STRUCT) {
		memcpy(&l, v, sizeof(l));
		text_add(t, "{onoff=%d, linger=%d}", (int64_t)l.onoff, (int64_t)l.linger_s);
	} else {
		memcpy(&i, v, sizeof(i));
		text_add(t, "%d", (int64_t)i);
	}
}

CALL(getsockopt)
{
	const struct expr *x = a->arg[3];
	bool known = x->kind != EXPR_ANY, any_room = a->arg[4]->kind == EXPR_ANY;
	uint8_t want[VALUE_BYTES] = {0}, got[VALUE_BYTES] = {0};
	uint32_t n = known ? option_value(a, x, want) : 0, room = VALUE_BYTES, given;
	struct text t;
	int r;

	if (!any_room)
		room = (uint32_t)drill_boxed(a, a->arg[4]);
	if (a->bad)
		return 0;
	if (room > VALUE_BYTES) {
		drill_bad_arg(a, a->arg[4], "at most 512 bytes");
		return 0;
	}
	given = room;
	r = bsd_getsockopt(&a->d->bsd, drill_fd_arg(a, 0), drill_int_arg(a, 1), drill_int_arg(a, 2),
		got, &room);
	if (r < 0)
		return r;
	if (!any_room && known && room != given)
		drill_wrong_value(a, "length", given, room);
	got[VALUE_BYTES - 1] = 0;
	if (!known || a->d->failed || memcmp(want, got, min_u32(n, given)) == 0)
		return r;
	t = text_in(a->d->r->wanted, sizeof(a->d->r->wanted));
	print_value(&t, x, want);
	t = text_in(a->d->r->got, sizeof(a->d->r->got));
	print_value(&t, x, got);
	drill_fail(a->d, a->e, "the call tells another value");
	return r;
}
