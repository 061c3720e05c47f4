/* The packet-script engine: runs the code in %{ }%, at its time, over TCP_INFO of the connection
 * spoken of last. Numbers are fractions of 64 bits; what does not fit is an error, never a wrong
 * value. */
#include "sim/drill_code.h"

#define INFO_BYTES 512u

/* Linux's struct tcp_info: part of its interface, hence told by offsets. */
static const struct field {
	const char *name;
	uint16_t offset;
	uint8_t bytes;
	uint8_t low, bits; /* of a byte that is shared; bits 0: all of it */
} fields[] = {{"tcpi_state", 0, 1, 0, 0}, {"tcpi_ca_state", 1, 1, 0, 0},
	{"tcpi_retransmits", 2, 1, 0, 0}, {"tcpi_probes", 3, 1, 0, 0}, {"tcpi_backoff", 4, 1, 0, 0},
	{"tcpi_options", 5, 1, 0, 0}, {"tcpi_snd_wscale", 6, 1, 0, 4},
	{"tcpi_rcv_wscale", 6, 1, 4, 4}, {"tcpi_delivery_rate_app_limited", 7, 1, 0, 1},
	{"tcpi_fastopen_client_fail", 7, 1, 1, 2}, {"tcpi_rto", 8, 4, 0, 0},
	{"tcpi_ato", 12, 4, 0, 0}, {"tcpi_snd_mss", 16, 4, 0, 0}, {"tcpi_rcv_mss", 20, 4, 0, 0},
	{"tcpi_unacked", 24, 4, 0, 0}, {"tcpi_sacked", 28, 4, 0, 0}, {"tcpi_lost", 32, 4, 0, 0},
	{"tcpi_retrans", 36, 4, 0, 0}, {"tcpi_fackets", 40, 4, 0, 0},
	{"tcpi_last_data_sent", 44, 4, 0, 0}, {"tcpi_last_ack_sent", 48, 4, 0, 0},
	{"tcpi_last_data_recv", 52, 4, 0, 0}, {"tcpi_last_ack_recv", 56, 4, 0, 0},
	{"tcpi_pmtu", 60, 4, 0, 0}, {"tcpi_rcv_ssthresh", 64, 4, 0, 0}, {"tcpi_rtt", 68, 4, 0, 0},
	{"tcpi_rttvar", 72, 4, 0, 0}, {"tcpi_snd_ssthresh", 76, 4, 0, 0},
	{"tcpi_snd_cwnd", 80, 4, 0, 0}, {"tcpi_advmss", 84, 4, 0, 0},
	{"tcpi_reordering", 88, 4, 0, 0}, {"tcpi_rcv_rtt", 92, 4, 0, 0},
	{"tcpi_rcv_space", 96, 4, 0, 0}, {"tcpi_total_retrans", 100, 4, 0, 0},
	{"tcpi_pacing_rate", 104, 8, 0, 0}, {"tcpi_max_pacing_rate", 112, 8, 0, 0},
	{"tcpi_bytes_acked", 120, 8, 0, 0}, {"tcpi_bytes_received", 128, 8, 0, 0},
	{"tcpi_segs_out", 136, 4, 0, 0}, {"tcpi_segs_in", 140, 4, 0, 0},
	{"tcpi_notsent_bytes", 144, 4, 0, 0}, {"tcpi_min_rtt", 148, 4, 0, 0},
	{"tcpi_data_segs_in", 152, 4, 0, 0}, {"tcpi_data_segs_out", 156, 4, 0, 0},
	{"tcpi_delivery_rate", 160, 8, 0, 0}, {"tcpi_busy_time", 168, 8, 0, 0},
	{"tcpi_rwnd_limited", 176, 8, 0, 0}, {"tcpi_sndbuf_limited", 184, 8, 0, 0},
	{"tcpi_delivered", 192, 4, 0, 0}, {"tcpi_delivered_ce", 196, 4, 0, 0},
	{"tcpi_bytes_sent", 200, 8, 0, 0}, {"tcpi_bytes_retrans", 208, 8, 0, 0},
	{"tcpi_dsack_dups", 216, 4, 0, 0}, {"tcpi_reord_seen", 220, 4, 0, 0},
	{"tcpi_rcv_ooopack", 224, 4, 0, 0}, {"tcpi_snd_wnd", 228, 4, 0, 0},
	{"tcpi_rcv_wnd", 232, 4, 0, 0}, {"tcpi_rehash", 236, 4, 0, 0}};

static const struct {
	const char *name;
	int64_t value;
} constants[] = {{"TCP_ESTABLISHED", 1}, {"TCP_SYN_SENT", 2}, {"TCP_SYN_RECV", 3},
	{"TCP_FIN_WAIT1", 4}, {"TCP_FIN_WAIT2", 5}, {"TCP_TIME_WAIT", 6}, {"TCP_CLOSE", 7},
	{"TCP_CLOSE_WAIT", 8}, {"TCP_LAST_ACK", 9}, {"TCP_LISTEN", 10}, {"TCP_CLOSING", 11},
	{"TCP_CA_Open", 0}, {"TCP_CA_Disorder", 1}, {"TCP_CA_CWR", 2}, {"TCP_CA_Recovery", 3},
	{"TCP_CA_Loss", 4}, {"TCPI_OPT_TIMESTAMPS", 1}, {"TCPI_OPT_SACK", 2},
	{"TCPI_OPT_WSCALE", 4}, {"TCPI_OPT_ECN", 8}, {"TCPI_OPT_ECN_SEEN", 16},
	{"TCPI_OPT_SYN_DATA", 32}, {"TCP_INFINITE_SSTHRESH", 0x7fffffff}, {"True", 1}, {"False", 0},
	{"None", 0}};

int drill_code_field(const char *w, uint32_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (word_is(w, n, fields[i].name))
			return (int)i;
	return -1;
}

bool drill_code_constant(const char *w, uint32_t n, int64_t *out)
{
	for (size_t i = 0; i < ARRAY_LEN(constants); i++)
		if (word_is(w, n, constants[i].name)) {
			*out = constants[i].value;
			return true;
		}
	return false;
}

/* A block that runs. */
struct eval {
	struct drill *d;
	const struct drill_event *e;
	bool have;
	uint8_t info[INFO_BYTES];
};

struct number {
	int64_t num, den; /* den > 0 */
};

static bool value_of(struct eval *v, const struct code *x, struct number *out);

/* ---- TCP_INFO -------------------------------------------------------------------------------- */

/* Is the connection behind fd the one spoken of last? */
static bool is_current(const struct drill *d, int fd)
{
	const struct drill_flow *f = &d->flows[d->cur_flow];
	struct tg_addr local, peer;
	struct bsd *b = (struct bsd *)(uintptr_t)&d->bsd;

	return d->n_flows && bsd_getsockname(b, fd, &local) == 0 &&
	       bsd_getpeername(b, fd, &peer) == 0 && local.port == f->lport &&
	       peer.port == f->rport;
}

static int find_fd(const struct drill *d)
{
	for (size_t i = 0; i < ARRAY_LEN(d->fd_map); i++)
		if (d->fd_map[i] >= 0 && is_current(d, d->fd_map[i]))
			return d->fd_map[i];
	return drill_fd(d, d->last_fd);
}

static bool fetch(struct eval *v)
{
	uint32_t len = INFO_BYTES;

	if (v->have)
		return true;
	memset(v->info, 0, sizeof(v->info));
	v->have = true;
	if (bsd_getsockopt(&v->d->bsd, find_fd(v->d), BSD_SOL_TCP, BSD_TCP_INFO, v->info, &len) < 0)
		return drill_fail(
			v->d, v->e, "no descriptor leads to the connection spoken of last");
	return true;
}

static bool field_value(struct eval *v, int64_t which, struct number *out)
{
	const struct field *f = &fields[which];
	const uint8_t *at = v->info + f->offset;
	uint64_t n = 0;
	uint32_t n32;

	if (!fetch(v))
		return false;
	if (f->bytes == 8) {
		memcpy(&n, at, 8);
	} else if (f->bytes == 4) {
		memcpy(&n32, at, 4);
		n = n32;
	} else {
		n = *at;
	}
	if (f->bits)
		n = n >> f->low & ((1u << f->bits) - 1);
	*out = (struct number){n > INT64_MAX ? INT64_MAX : (int64_t)n, 1};
	return true;
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a < 0 ? -a : a;
}

/* num/den in lowest terms with a positive den; false: it does not fit. */
static bool reduce(int64_t num, int64_t den, struct number *out)
{
	int64_t common;

	if (num == INT64_MIN || den == INT64_MIN || den == 0)
		return false;
	common = gcd(num, den);
	if (den < 0)
		common = -common;
	*out = (struct number){num / common, den / common};
	return true;
}

static bool multiply(struct number a, struct number b, struct number *out)
{
	int64_t num, den;

	return !__builtin_mul_overflow(a.num, b.num, &num) &&
	       !__builtin_mul_overflow(a.den, b.den, &den) && reduce(num, den, out);
}

static bool add(struct number a, struct number b, struct number *out)
{
	int64_t left, right, num, den;

	return !__builtin_mul_overflow(a.num, b.den, &left) &&
	       !__builtin_mul_overflow(b.num, a.den, &right) &&
	       !__builtin_add_overflow(left, right, &num) &&
	       !__builtin_mul_overflow(a.den, b.den, &den) && reduce(num, den, out);
}

static int64_t floor_of(struct number a)
{
	return a.num / a.den - (a.num % a.den < 0);
}

static bool divide(struct number a, struct number b, struct number *out)
{
	int64_t sign = b.num < 0 ? -1 : 1;

	return multiply(a, (struct number){sign * b.den, sign * b.num}, out);
}

static bool power(struct number a, struct number b, struct number *out)
{
	if (b.den != 1 || b.num < 0 || b.num > 63)
		return false;
	*out = (struct number){1, 1};
	for (int64_t i = 0; i < b.num; i++)
		if (!multiply(*out, a, out))
			return false;
	return true;
}

static bool remainder_of(struct number a, struct number b, struct number *out)
{
	struct number q;

	return divide(a, b, &q) && multiply(b, (struct number){-floor_of(q), 1}, &q) &&
	       add(a, q, out);
}

/* Whole numbers only. */
static bool bits(enum code_op op, struct number a, struct number b, struct number *out)
{
	int64_t v = 0;

	if (a.den != 1 || b.den != 1)
		return false;
	if (op == CODE_BIT_OR)
		v = a.num | b.num;
	else if (op == CODE_BIT_XOR)
		v = a.num ^ b.num;
	else if (op == CODE_BIT_AND)
		v = a.num & b.num;
	else if (b.num < 0 || b.num > 62)
		return false;
	else if (op == CODE_SHR)
		v = floor_of((struct number){a.num, (int64_t)1 << b.num});
	else
		return multiply(a, (struct number){(int64_t)1 << b.num, 1}, out);
	*out = (struct number){v, 1};
	return true;
}

/* -1, 0, 1; false: it cannot be said in 64 bits. */
static bool compare(struct number a, struct number b, int *out)
{
	int64_t left, right;

	if (__builtin_mul_overflow(a.num, b.den, &left) ||
		__builtin_mul_overflow(b.num, a.den, &right))
		return false;
	*out = (left > right) - (left < right);
	return true;
}

static bool compared(enum code_op op, struct number a, struct number b, struct number *out)
{
	bool yes;
	int c;

	if (!compare(a, b, &c))
		return false;
	yes = op == CODE_EQ   ? c == 0
	      : op == CODE_NE ? c != 0
	      : op == CODE_LT ? c < 0
	      : op == CODE_LE ? c <= 0
	      : op == CODE_GT ? c > 0
			      : c >= 0;
	*out = (struct number){yes, 1};
	return true;
}

static bool calculated(enum code_op op, struct number a, struct number b, struct number *out)
{
	if (op >= CODE_EQ && op <= CODE_GE)
		return compared(op, a, b, out);
	if (op >= CODE_BIT_OR && op <= CODE_SHR)
		return bits(op, a, b, out);
	if (op == CODE_ADD)
		return add(a, b, out);
	if (op == CODE_SUB)
		return add(a, (struct number){-b.num, b.den}, out);
	if (op == CODE_MUL)
		return multiply(a, b, out);
	if (op == CODE_POW)
		return power(a, b, out);
	if (!b.num)
		return false;
	if (op == CODE_MOD)
		return remainder_of(a, b, out);
	if (!divide(a, b, out))
		return false;
	if (op == CODE_FLOOR)
		*out = (struct number){floor_of(*out), 1};
	return true;
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static bool wrong(struct eval *v, const struct code *x, const char *why)
{
	return drill_error(v->d, x->pos, why, "", 0);
}

/* "a in (b, c)" */
static bool contains(struct eval *v, const struct code *x, struct number *out)
{
	struct number a, b;
	int c;

	*out = (struct number){x->op == CODE_NOT_IN, 1};
	if (x->b->op != CODE_LIST)
		return wrong(v, x->b, "a list is expected behind 'in'");
	if (!value_of(v, x->a, &a))
		return false;
	for (const struct code *m = x->b->a; m; m = m->next) {
		if (!value_of(v, m, &b))
			return false;
		if (compare(a, b, &c) && c == 0)
			out->num = x->op == CODE_IN;
	}
	return true;
}

static bool called(struct eval *v, const struct code *x, struct number *out)
{
	struct number b;
	int c;

	if (!value_of(v, x->a->a, out))
		return false;
	if (x->op == CODE_ABS && out->num < 0)
		out->num = -out->num;
	if (x->op == CODE_INT)
		*out = (struct number){out->num / out->den, 1};
	for (const struct code *m = x->a->a->next; m; m = m->next) {
		if (!value_of(v, m, &b))
			return false;
		if (!compare(b, *out, &c))
			return wrong(v, m, "this number is too large");
		if (x->op == CODE_MIN ? c < 0 : c > 0)
			*out = b;
	}
	return true;
}

static bool of_one(struct eval *v, const struct code *x, struct number *out)
{
	if (!value_of(v, x->a, out))
		return false;
	if (x->op == CODE_NOT)
		*out = (struct number){!out->num, 1};
	else if (x->op == CODE_NEG)
		out->num = -out->num;
	else if (out->den != 1)
		return wrong(v, x, "a whole number is expected here");
	else
		out->num = ~out->num;
	return out->num == INT64_MIN ? wrong(v, x, "this number is too large") : true;
}

static bool of_two(struct eval *v, const struct code *x, struct number *out)
{
	struct number a, b;

	if (!value_of(v, x->a, &a))
		return false;
	*out = a;
	/* As Python: the value that decides, and no look at the other. */
	if ((x->op == CODE_OR && a.num) || (x->op == CODE_AND && !a.num))
		return true;
	if (!value_of(v, x->b, &b))
		return false;
	if (x->op == CODE_OR || x->op == CODE_AND) {
		*out = b;
		return true;
	}
	if (!calculated((enum code_op)x->op, a, b, out))
		return wrong(v, x,
			"this cannot be calculated: a division by zero, a fraction where "
			"a whole number belongs, or more than 64 bits");
	return true;
}

static bool value_of(struct eval *v, const struct code *x, struct number *out)
{
	switch (x->op) {
	case CODE_NUMBER: *out = (struct number){x->num, x->den}; return true;
	case CODE_FIELD: return field_value(v, x->num, out);
	case CODE_VAR:
		*out = (struct number){v->d->vars[x->num].num, v->d->vars[x->num].den};
		return out->den ? true : wrong(v, x, "this variable has no value yet");
	case CODE_STRING:
	case CODE_LIST: return wrong(v, x, "a number is expected here");
	case CODE_IN:
	case CODE_NOT_IN: return contains(v, x, out);
	case CODE_ABS:
	case CODE_MIN:
	case CODE_MAX:
	case CODE_INT: return called(v, x, out);
	case CODE_NOT:
	case CODE_NEG:
	case CODE_INVERT: return of_one(v, x, out);
	default: return of_two(v, x, out);
	}
}

/* ---- What is said ---------------------------------------------------------------------------- */

static void print_number(struct text *t, struct number n)
{
	if (n.den == 1)
		text_add(t, "%d", n.num);
	else
		text_add(t, "%d/%d", n.num, n.den);
}

static void print_value(struct eval *v, struct text *t, const struct code *x);

/* "text %d" % x, "text %d %d" % (x, y): every conversion is the next value. */
static void print_format(struct eval *v, struct text *t, const struct code *x)
{
	const struct code *next = x->b->op == CODE_LIST ? x->b->a : x->b;
	const char *at = x->a->text, *end = at + x->a->text_bytes;

	while (at < end) {
		if (*at != '%' || at + 1 == end) {
			text_add(t, "%S", at++, (uint32_t)1);
			continue;
		}
		at++;
		if (*at == '%') {
			text_add(t, "%%");
		} else if (next) {
			while (at + 1 < end && ((*at >= '0' && *at <= '9') || *at == '.'))
				at++;
			print_value(v, t, next);
			next = x->b->op == CODE_LIST ? next->next : NULL;
		}
		at++;
	}
}

static void print_value(struct eval *v, struct text *t, const struct code *x)
{
	struct number n;

	if (x->op == CODE_STRING) {
		text_add(t, "%S", x->text, x->text_bytes);
	} else if (x->op == CODE_MOD && x->a->op == CODE_STRING) {
		print_format(v, t, x);
	} else if (x->op == CODE_LIST) {
		for (const struct code *m = x->a; m && !v->d->failed; m = m->next) {
			print_value(v, t, m);
			text_add(t, m->next ? " " : "");
		}
	} else if (value_of(v, x, &n)) {
		print_number(t, n);
	}
}

/* The names in an expression and what they stand for. */
static void print_names(struct eval *v, struct text *t, const struct code *x, bool *any)
{
	struct number n;

	if (!x)
		return;
	if ((x->op == CODE_FIELD || x->op == CODE_VAR) && value_of(v, x, &n)) {
		text_add(t, *any ? ", %S " : "%S ", x->text, x->text_bytes);
		print_number(t, n);
		*any = true;
	}
	print_names(v, t, x->a, any);
	print_names(v, t, x->b, any);
	if (x->op == CODE_LIST)
		for (const struct code *m = x->a ? x->a->next : NULL; m; m = m->next)
			print_names(v, t, m, any);
}

static bool run_assert(struct eval *v, const struct code *x)
{
	struct drill *d = v->d;
	struct drill_event at = *v->e;
	char said[512];
	struct number n;
	struct text t;
	bool any = false;

	if (!value_of(v, x->a, &n))
		return false;
	if (n.num)
		return true;
	t = text_in(said, sizeof(said));
	print_names(v, &t, x->a, &any);
	if (x->b && !(x->b->op == CODE_FIELD && any)) {
		text_add(&t, any ? "; says " : "says ");
		print_value(v, &t, x->b);
	}
	if (!any && !x->b)
		text_add(&t, "it does not");
	if (d->failed)
		return false;
	at.pos = x->pos;
	t = text_in(d->r->wanted, sizeof(d->r->wanted));
	text_add(&t, "%S", x->text, x->text_bytes);
	t = text_in(d->r->got, sizeof(d->r->got));
	text_add(&t, "%s", said);
	return drill_fail(d, &at, "an assertion does not hold");
}

static bool run_print(struct eval *v, const struct code *x)
{
	print_value(v, &v->d->printed, x->a);
	text_add(&v->d->printed, "\n");
	return !v->d->failed;
}

bool drill_run_code(struct drill *d, const struct drill_event *e)
{
	struct eval v = {.d = d, .e = e};
	struct number n;
	bool good = true;

	for (const struct code *x = e->code; x && good; x = x->next) {
		if (x->op == CODE_ASSERT)
			good = run_assert(&v, x);
		else if (x->op == CODE_PRINT)
			good = run_print(&v, x);
		else if (x->op == CODE_SET && (good = value_of(&v, x->a, &n)))
			d->vars[x->num] = (struct drill_var){
				d->vars[x->num].name, d->vars[x->num].name_bytes, n.num, n.den};
	}
	return good;
}
