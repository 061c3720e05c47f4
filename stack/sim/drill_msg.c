/* The packet-script engine: sendmsg and recvmsg, their structures in the script's words:
 *
 *   {msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=MSG_TRUNC,
 *    msg_control=[{cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=[64]},
 *                 {cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=ECONNREFUSED,
 *                  ee_origin=SO_EE_ORIGIN_ICMP, ee_type=3, ee_code=3, ee_info=0, ee_data=0}}]}
 *
 * Control messages are IP_TTL, IP_TOS, IP_PKTINFO, sent UDP_SEGMENT (of SOL_UDP), received UDP_GRO
 * (of SOL_UDP) and IP_RECVERR. What recvmsg gives is compared if msg_control is written; "..." in
 * it, or for it, stands for anything. */
#include "sim/drill_call.h"

#define EE_ORIGIN_ICMP 2
#define CMSG_MAX       5u

static const char *const msg_names[] = {"msg_name", "msg_iov", "msg_flags", "msg_control"};
static const char *const cmsg_names[] = {"cmsg_len", "cmsg_level", "cmsg_type", "cmsg_data"};
static const char *const ee_names[] = {
	"ee_errno", "ee_origin", "ee_type", "ee_code", "ee_info", "ee_data"};

/* The pieces of a message; what msg_iov(N) says has to be their number. */
static bool open_msg(
	struct act *a, const struct expr *x, struct bsd_msg *m, struct bsd_iov iov[DRILL_IOV_MAX])
{
	const struct expr *v;

	*m = (struct bsd_msg){.iov = iov, .bounce = a->d->bounce, .bounce_bytes = DRILL_BYTES_MAX};
	if (x->kind != EXPR_STRUCT) {
		drill_bad_arg(a, x, "{msg_name(...)=..., msg_iov(N)=[...], ...} is expected here");
		return false;
	}
	drill_only(a, x, msg_names, ARRAY_LEN(msg_names));
	v = drill_member(x, "msg_iov", 1);
	if (!v) {
		drill_bad_arg(a, x, "msg_iov is missing");
		return false;
	}
	m->n_iov = drill_iov_arg(a, v, iov, DRILL_IOV_MAX);
	if (v->count && v->count->kind == EXPR_INT && v->count->value != m->n_iov)
		drill_bad_arg(a, v->count, "so many pieces are not given");
	return !a->bad;
}

/* The next control message of a list; NULL: none, or the error is set. */
static const struct expr *cmsg_of(struct act *a, const struct expr *x, int64_t *type)
{
	if (!x || a->bad)
		return NULL;
	if (x->kind != EXPR_STRUCT || !drill_member(x, "cmsg_data", 2)) {
		drill_bad_arg(
			a, x, "{cmsg_level=..., cmsg_type=..., cmsg_data=...} is expected here");
		return NULL;
	}
	drill_only(a, x, cmsg_names, ARRAY_LEN(cmsg_names));
	*type = drill_member_int(a, x, "cmsg_type", 1);
	if (drill_member_int(a, x, "cmsg_level", 0) !=
		(*type == BSD_UDP_SEGMENT || *type == BSD_UDP_GRO ? BSD_SOL_UDP : BSD_SOL_IP))
		drill_bad_arg(a, x,
			"of control messages those of SOL_IP are supported, and of "
			"SOL_UDP UDP_SEGMENT and UDP_GRO");
	return a->bad ? NULL : drill_member(x, "cmsg_data", 2);
}

/* N or [N] */
static int64_t cmsg_number(struct act *a, const struct expr *x)
{
	return x->kind == EXPR_LIST ? drill_boxed(a, x) : drill_number(a, x);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void take_control(struct act *a, const struct expr *x, struct tg_dgram *info)
{
	int64_t type = 0, v;
	const struct expr *data = cmsg_of(a, x, &type);

	if (!data)
		return;
	v = cmsg_number(a, data);
	if (type == BSD_IP_TTL && v >= 1 && v <= 255)
		info->ttl = (uint8_t)v;
	else if (type == BSD_IP_TOS && v >= 0 && v <= 255)
		info->tos = (uint8_t)v;
	else if (type == BSD_UDP_SEGMENT && v >= 0 && v <= UINT16_MAX)
		info->segment = v ? (int32_t)v : -1;
	else
		drill_bad_arg(a, x,
			"IP_TTL or IP_TOS with a number up to 255, or UDP_SEGMENT with "
			"one up to 65535, is expected here");
}

static int64_t send_one(struct act *a, const struct expr *x, int flags)
{
	struct bsd_iov iov[DRILL_IOV_MAX];
	const struct expr *name, *control;
	struct bsd_msg m;

	if (!open_msg(a, x, &m, iov))
		return 0;
	name = drill_member(x, "msg_name", 0);
	if (name) {
		m.info.peer = drill_addr_arg(a, name, a->d->o.remote_ip, a->d->o.connect_port);
		m.has_addr = true;
	}
	control = drill_member(x, "msg_control", 3);
	if (control && control->kind != EXPR_LIST)
		drill_bad_arg(a, control, "[{cmsg_level=..., ...}] is expected here");
	for (const struct expr *c = control ? control->first : NULL; c && !a->bad; c = c->next)
		take_control(a, c, &m.info);
	if (a->bad)
		return 0;
	memset(a->d->payload, 0, DRILL_BYTES_MAX);
	return bsd_sendmsg(&a->d->bsd, drill_fd_arg(a, 0), &m, flags);
}

CALL(sendmsg)
{
	return send_one(a, a->arg[1], drill_int_arg(a, 2));
}

/* [{{msg_name...}, N}, ...]: N is what the message's length has to come to. */
CALL(sendmmsg)
{
	int64_t done = 0, r = 0;

	if (a->arg[1]->kind != EXPR_LIST)
		drill_bad_arg(
			a, a->arg[1], "[{{msg_name(...)=..., ...}, N}, ...] is expected here");
	for (const struct expr *x = a->arg[1]->first; x && !a->bad; x = x->next) {
		const struct expr *hdr = drill_member(x, "msg_hdr", 0);
		const struct expr *len = drill_member(x, "msg_len", 1);

		if (!hdr || done == drill_int_arg(a, 2))
			break;
		r = send_one(a, hdr, drill_int_arg(a, 3));
		if (r < 0 || a->bad)
			break;
		if (len && len->kind == EXPR_INT && len->value != r)
			drill_wrong_value(a, "msg_len", len->value, r);
		done++;
	}
	return done ? done : r;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void check_error(struct act *a, const struct expr *x, const struct tg_dgram *got)
{
	const int64_t have[] = {
		got->error, EE_ORIGIN_ICMP, got->icmp_type, got->icmp_code, got->mtu, 0};

	if (x->kind == EXPR_ANY)
		return;
	if (x->kind != EXPR_STRUCT) {
		drill_bad_arg(a, x, "{ee_errno=..., ee_origin=..., ...} is expected here");
		return;
	}
	drill_only(a, x, ee_names, ARRAY_LEN(ee_names));
	for (unsigned i = 0; i < ARRAY_LEN(ee_names) && !a->bad; i++) {
		const struct expr *m = drill_member(x, ee_names[i], i);

		if (m && m->kind != EXPR_ANY && drill_number(a, m) != have[i]) {
			drill_wrong_value(a, ee_names[i], m->value, have[i]);
			return;
		}
	}
}

static void check_number(struct act *a, const struct expr *data, const char *what, int64_t got)
{
	int64_t want = data->kind == EXPR_ANY ? got : cmsg_number(a, data);

	if (want != got)
		drill_wrong_value(a, what, want, got);
}

static void check_one(struct act *a, const struct expr *x, int have, const struct bsd_msg *m)
{
	int64_t type = 0;
	const struct expr *data = cmsg_of(a, x, &type);

	if (!data)
		return;
	if (type != have)
		drill_wrong_value(a, "cmsg_type", type, have);
	else if (have == BSD_IP_RECVERR)
		check_error(a, data, &m->info);
	else if (have == BSD_IP_TTL)
		check_number(a, data, "IP_TTL", m->info.ttl);
	else if (have == BSD_IP_TOS)
		check_number(a, data, "IP_TOS", m->info.tos);
	else if (have == BSD_UDP_GRO)
		check_number(a, data, "UDP_GRO", m->info.segment);
	else if (data->kind != EXPR_ANY)
		drill_bad_arg(a, data, "of IP_PKTINFO only '...' can be written");
}

/* The control messages that Linux would give, in its order. */
static unsigned controls(const struct bsd_msg *m, int out[CMSG_MAX])
{
	unsigned n = 0;

	if (m->info.segment)
		out[n++] = BSD_UDP_GRO;
	if (m->has_addr && m->pktinfo)
		out[n++] = BSD_IP_PKTINFO;
	if (m->has_addr && m->ttl)
		out[n++] = BSD_IP_TTL;
	if (m->has_addr && m->tos)
		out[n++] = BSD_IP_TOS;
	if (m->flags & BSD_MSG_ERRQUEUE)
		out[n++] = BSD_IP_RECVERR;
	return n;
}

static void check_controls(struct act *a, const struct expr *list, const struct bsd_msg *m)
{
	int have[CMSG_MAX];
	unsigned n = controls(m, have), i = 0;

	if (list->kind == EXPR_ANY)
		return;
	if (list->kind != EXPR_LIST) {
		drill_bad_arg(a, list, "[{cmsg_level=..., ...}] is expected here");
		return;
	}
	for (const struct expr *x = list->first; x && !a->bad; x = x->next, i++)
		if (i < n && x->kind != EXPR_ANY)
			check_one(a, x, have[i], m);
	if (!a->bad && i != n)
		drill_wrong_value(a, "control messages:", i, n);
}

CALL(recvmsg)
{
	const struct expr *x = a->arg[1], *flags, *control, *name;
	struct bsd_iov iov[DRILL_IOV_MAX];
	struct bsd_msg m;
	struct tg_addr want;
	int64_t r;

	if (!open_msg(a, x, &m, iov))
		return 0;
	r = bsd_recvmsg(&a->d->bsd, drill_fd_arg(a, 0), &m, drill_int_arg(a, 2));
	if (r < 0 || a->d->failed)
		return r;
	flags = drill_member(x, "msg_flags", 2);
	control = drill_member(x, "msg_control", 3);
	name = drill_member(x, "msg_name", 0);
	if (flags && flags->kind != EXPR_ANY && drill_number(a, flags) != m.flags)
		drill_wrong_value(a, "msg_flags", flags->value, m.flags);
	if (control && !a->bad)
		check_controls(a, control, &m);
	if (name && name->kind != EXPR_ANY && !a->bad) {
		want = drill_addr_arg(a, name, 0, 0);
		if (!a->bad && want.port != m.info.peer.port)
			drill_wrong_value(a, "port", want.port, m.info.peer.port);
	}
	return r;
}
