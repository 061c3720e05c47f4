/* The packet-script engine: calls, their arguments and results, and the constants that scripts
 * name. Left out so far: msghdr and iovec arguments, epoll. */
#include "sim/drill.h"

struct constant {
	const char *name;
	int value;
};

static const struct constant constants[] = {{"AF_INET", BSD_AF_INET}, {"PF_INET", BSD_AF_INET},
	{"AF_UNSPEC", BSD_AF_UNSPEC}, {"SOCK_STREAM", BSD_SOCK_STREAM},
	{"SOCK_DGRAM", BSD_SOCK_DGRAM}, {"SOCK_RAW", BSD_SOCK_RAW},
	{"SOCK_NONBLOCK", BSD_SOCK_NONBLOCK}, {"SOCK_CLOEXEC", BSD_SOCK_CLOEXEC}, {"IPPROTO_IP", 0},
	{"IPPROTO_ICMP", 1}, {"IPPROTO_TCP", 6}, {"IPPROTO_UDP", 17}, {"INADDR_ANY", 0},
	{"SOL_SOCKET", BSD_SOL_SOCKET}, {"SOL_IP", BSD_SOL_IP}, {"SOL_TCP", BSD_SOL_TCP},
	{"SOL_UDP", BSD_SOL_UDP}, {"SO_REUSEADDR", BSD_SO_REUSEADDR}, {"SO_TYPE", BSD_SO_TYPE},
	{"SO_ERROR", BSD_SO_ERROR}, {"SO_BROADCAST", BSD_SO_BROADCAST},
	{"SO_SNDBUF", BSD_SO_SNDBUF}, {"SO_RCVBUF", BSD_SO_RCVBUF},
	{"SO_KEEPALIVE", BSD_SO_KEEPALIVE}, {"SO_LINGER", BSD_SO_LINGER},
	{"SO_RCVLOWAT", BSD_SO_RCVLOWAT}, {"SO_RCVTIMEO", BSD_SO_RCVTIMEO},
	{"SO_SNDTIMEO", BSD_SO_SNDTIMEO}, {"SO_ACCEPTCONN", BSD_SO_ACCEPTCONN},
	{"SO_PROTOCOL", BSD_SO_PROTOCOL}, {"SO_MAX_PACING_RATE", BSD_SO_MAX_PACING_RATE},
	{"SO_DOMAIN", BSD_SO_DOMAIN}, {"TCP_NODELAY", BSD_TCP_NODELAY},
	{"TCP_CONGESTION", BSD_TCP_CONGESTION}, {"TCP_MAXSEG", BSD_TCP_MAXSEG},
	{"TCP_CORK", BSD_TCP_CORK}, {"TCP_KEEPIDLE", BSD_TCP_KEEPIDLE},
	{"TCP_KEEPINTVL", BSD_TCP_KEEPINTVL}, {"TCP_KEEPCNT", BSD_TCP_KEEPCNT},
	{"TCP_DEFER_ACCEPT", BSD_TCP_DEFER_ACCEPT}, {"TCP_QUICKACK", BSD_TCP_QUICKACK},
	{"TCP_USER_TIMEOUT", BSD_TCP_USER_TIMEOUT}, {"IP_TOS", BSD_IP_TOS}, {"IP_TTL", BSD_IP_TTL},
	{"IP_MTU", BSD_IP_MTU}, {"IP_MTU_DISCOVER", BSD_IP_MTU_DISCOVER},
	{"IP_RECVERR", BSD_IP_RECVERR}, {"IP_PMTUDISC_DONT", 0}, {"IP_PMTUDISC_WANT", 1},
	{"IP_PMTUDISC_DO", 2}, {"IP_PMTUDISC_PROBE", 3}, {"MSG_OOB", BSD_MSG_OOB},
	{"MSG_PEEK", BSD_MSG_PEEK}, {"MSG_TRUNC", BSD_MSG_TRUNC},
	{"MSG_DONTWAIT", BSD_MSG_DONTWAIT}, {"MSG_WAITALL", BSD_MSG_WAITALL},
	{"MSG_NOSIGNAL", BSD_MSG_NOSIGNAL}, {"MSG_MORE", BSD_MSG_MORE}, {"O_RDONLY", 0},
	{"O_RDWR", BSD_O_RDWR}, {"O_NONBLOCK", BSD_O_NONBLOCK}, {"F_GETFL", BSD_F_GETFL},
	{"F_SETFL", BSD_F_SETFL}, {"FIONREAD", BSD_FIONREAD}, {"SIOCINQ", BSD_FIONREAD},
	{"FIONBIO", BSD_FIONBIO}, {"SIOCOUTQ", BSD_SIOCOUTQ}, {"SHUT_RD", TG_SHUT_RD},
	{"SHUT_WR", TG_SHUT_WR}, {"SHUT_RDWR", TG_SHUT_RDWR}, {"POLLIN", BSD_POLLIN},
	{"POLLPRI", BSD_POLLPRI}, {"POLLOUT", BSD_POLLOUT}, {"POLLERR", BSD_POLLERR},
	{"POLLHUP", BSD_POLLHUP}, {"POLLNVAL", BSD_POLLNVAL}, {"POLLRDNORM", BSD_POLLRDNORM},
	{"POLLRDBAND", BSD_POLLRDBAND}, {"POLLWRNORM", BSD_POLLWRNORM},
	{"POLLWRBAND", BSD_POLLWRBAND}, {"POLLRDHUP", BSD_POLLRDHUP}};

#define ERRNO(name)                                                                                \
	{                                                                                          \
#name, TG_##name                                                                   \
	}
static const struct constant errnos[] = {ERRNO(EPERM), ERRNO(EBADF), ERRNO(EAGAIN), ERRNO(ENOMEM),
	ERRNO(ENOENT), ERRNO(EACCES), ERRNO(EFAULT), ERRNO(EBUSY), ERRNO(EEXIST), ERRNO(ENODEV),
	ERRNO(EINVAL), ERRNO(EMFILE), ERRNO(EPIPE), ERRNO(ENOTSOCK), ERRNO(EDESTADDRREQ),
	ERRNO(EMSGSIZE), ERRNO(EPROTOTYPE), ERRNO(ENOPROTOOPT), ERRNO(EPROTONOSUPPORT),
	ERRNO(EOPNOTSUPP), ERRNO(EAFNOSUPPORT), ERRNO(EADDRINUSE), ERRNO(EADDRNOTAVAIL),
	ERRNO(ENETDOWN), ERRNO(ENETUNREACH), ERRNO(ECONNABORTED), ERRNO(ECONNRESET), ERRNO(ENOBUFS),
	ERRNO(EISCONN), ERRNO(ENOTCONN), ERRNO(ETIMEDOUT), ERRNO(ECONNREFUSED), ERRNO(EHOSTUNREACH),
	ERRNO(EALREADY), ERRNO(EINPROGRESS), ERRNO(EPROTO), {"EWOULDBLOCK", TG_EAGAIN}};

static bool find(
	const struct constant *table, size_t n, const char *w, uint32_t bytes, int64_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (word_is(w, bytes, table[i].name)) {
			*out = table[i].value;
			return true;
		}
	return false;
}

const char *drill_errno_name(int error)
{
	for (size_t i = 0; i < ARRAY_LEN(errnos); i++)
		if (errnos[i].value == error)
			return errnos[i].name;
	return NULL;
}

/* ---- Expressions ----------------------------------------------------------------------------- */

static bool parse_expr(struct drill *d, struct expr *x, unsigned depth);

/* Members up to `close`, separated by commas. */
static bool parse_members(struct drill *d, struct expr **at, const char *close, unsigned depth)
{
	if (!cur_space(d))
		return false;
	if (cur_take(&d->c, close))
		return true;
	for (;;) {
		*at = drill_alloc(d, sizeof(**at));
		if (!*at || !cur_space(d) || !parse_expr(d, *at, depth + 1) || !cur_space(d))
			return false;
		at = &(*at)->next;
		if (cur_take(&d->c, close))
			return true;
		if (!cur_take(&d->c, ","))
			return drill_error(
				d, cur_pos(&d->c), "',' or '%S' is expected here", close, 1);
	}
}

static bool parse_string(struct drill *d, struct expr *x)
{
	x->kind = EXPR_STRING;
	x->text = d->c.at;
	while (cur_peek(&d->c) != '"' && cur_peek(&d->c) != '\n' && cur_peek(&d->c))
		cur_next(&d->c);
	x->text_bytes = (uint32_t)(d->c.at - x->text);
	if (!cur_take(&d->c, "\""))
		return drill_error(d, x->pos, "this string does not end", "", 0);
	return true;
}

/* A number or a name; a name before '(' is a call, before '=' a member of a struct. */
static bool parse_term(struct drill *d, struct expr *x, unsigned depth)
{
	struct drill_pos pos = cur_pos(&d->c);
	const char *w;
	uint32_t n;
	int64_t v;

	if (cur_int(&d->c, &v)) {
		x->value |= v;
		return true;
	}
	n = cur_word(&d->c, &w);
	if (!n)
		return drill_error(d, pos, "an argument is expected here", "", 0);
	cur_blanks(&d->c);
	if (cur_take(&d->c, "(")) {
		x->kind = EXPR_CALL;
		x->text = w;
		x->text_bytes = n;
		return parse_members(d, &x->first, ")", depth);
	}
	if (!x->name && cur_take(&d->c, "=")) {
		x->name = w;
		x->name_bytes = n;
		return cur_space(d) && parse_expr(d, x, depth);
	}
	if (!find(constants, ARRAY_LEN(constants), w, n, &v))
		return drill_error(d, pos, "unknown name '%S'", w, n);
	x->value |= v;
	return true;
}

static bool parse_expr(struct drill *d, struct expr *x, unsigned depth)
{
	x->pos = cur_pos(&d->c);
	if (depth > 8)
		return drill_error_at(d, "arguments are nested too deeply");
	if (cur_take(&d->c, "...") || cur_take(&d->c, "?")) {
		x->kind = EXPR_ANY;
		return true;
	}
	if (cur_take(&d->c, "\""))
		return parse_string(d, x);
	if (cur_take(&d->c, "[")) {
		x->kind = EXPR_LIST;
		return parse_members(d, &x->first, "]", depth);
	}
	if (cur_take(&d->c, "{")) {
		x->kind = EXPR_STRUCT;
		return parse_members(d, &x->first, "}", depth);
	}
	x->kind = EXPR_INT;
	do {
		cur_blanks(&d->c);
		if (!parse_term(d, x, depth))
			return false;
		cur_blanks(&d->c);
	} while (x->kind == EXPR_INT && cur_take(&d->c, "|"));
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* "(text)" behind a result. */
static bool parse_note(struct drill *d)
{
	struct drill_pos pos;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (!cur_take(&d->c, "("))
		return true;
	while (cur_peek(&d->c) != ')' && cur_peek(&d->c) != '\n' && cur_peek(&d->c))
		cur_next(&d->c);
	return cur_take(&d->c, ")") ? true : drill_error(d, pos, "this remark does not end", "", 0);
}

static bool parse_result(struct drill *d, struct drill_call *c)
{
	struct drill_pos pos;
	const char *w;
	uint32_t n;
	int64_t v;

	cur_blanks(&d->c);
	if (!cur_take(&d->c, "="))
		return drill_error_at(d, "'= RESULT' is expected here");
	cur_blanks(&d->c);
	c->result = drill_alloc(d, sizeof(*c->result));
	if (!c->result || !parse_expr(d, c->result, 0))
		return false;
	if (c->result->kind != EXPR_ANY && c->result->kind != EXPR_INT)
		return drill_error(
			d, c->result->pos, "the result of a call is a number or '?'", "", 0);
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	n = cur_word(&d->c, &w);
	if (n) {
		if (!find(errnos, ARRAY_LEN(errnos), w, n, &v))
			return drill_error(d, pos, "unknown error name '%S'", w, n);
		c->error = (int)v;
	}
	if (c->result->kind == EXPR_INT && (c->result->value < 0) != (n != 0))
		return drill_error(
			d, pos, "a result of -1, and no other, needs the name of an error", "", 0);
	return parse_note(d);
}

bool drill_parse_call(struct drill *d, struct drill_call *c)
{
	struct drill_pos pos = cur_pos(&d->c);

	c->name_bytes = cur_word(&d->c, &c->name);
	cur_blanks(&d->c);
	if (!cur_take(&d->c, "("))
		return drill_error_at(d, "'(' is expected here");
	if (!parse_members(d, &c->args, ")", 0))
		return false;
	for (const struct expr *x = c->args; x; x = x->next)
		c->n_args++;
	return drill_check_call(d, pos, c) && parse_result(d, c);
}
