/* Socket options, fcntl and ioctl of the BSD interface: Linux's levels, names, layouts and limits
 * over the core's options. TCP_INFO is in bsd_info.c.
 *
 * Buffer sizes are told doubled, as Linux does; they are charged as they were set. Left out:
 * membership of multicast groups (IP_ADD_MEMBERSHIP), which is refused: without IGMP nobody would
 * send us what we had joined. Sending to groups works, with IP_MULTICAST_TTL, _LOOP and _IF. */
#include "ip/ip.h"
#include "sock/bsd.h"
#include "tapglass_inspect.h"

/* How a value is written. */
enum form {
	FORM_INT,  /* int, as it is */
	FORM_BOOL, /* int, 0 or 1 */
	FORM_S,    /* int, seconds */
	FORM_MS,   /* int, milliseconds */
	FORM_BUF,  /* int, told doubled */
	FORM_BYTE, /* int, or one byte, as Linux takes it at the level of IP */
	FORM_FLAG, /* the same, 0 or 1 */
	FORM_LINGER
};

static const struct opt {
	uint8_t level, name, form, core, read_only;
} opts[] = {
	{BSD_SOL_SOCKET, BSD_SO_REUSEADDR, FORM_BOOL, TG_SO_REUSEADDR, 0},
	{BSD_SOL_SOCKET, BSD_SO_REUSEPORT, FORM_BOOL, TG_SO_REUSEPORT, 0},
	{BSD_SOL_SOCKET, BSD_SO_OOBINLINE, FORM_BOOL, TG_SO_OOBINLINE, 0},
	{BSD_SOL_SOCKET, BSD_SO_TYPE, FORM_INT, TG_SO_TYPE, 1},
	{BSD_SOL_SOCKET, BSD_SO_ERROR, FORM_INT, TG_SO_ERROR, 1},
	{BSD_SOL_SOCKET, BSD_SO_BROADCAST, FORM_BOOL, TG_SO_BROADCAST, 0},
	{BSD_SOL_SOCKET, BSD_SO_SNDBUF, FORM_BUF, TG_SO_SNDBUF, 0},
	{BSD_SOL_SOCKET, BSD_SO_RCVBUF, FORM_BUF, TG_SO_RCVBUF, 0},
	{BSD_SOL_SOCKET, BSD_SO_KEEPALIVE, FORM_BOOL, TG_SO_KEEPALIVE, 0},
	{BSD_SOL_SOCKET, BSD_SO_LINGER, FORM_LINGER, TG_SO_LINGER, 0},
	{BSD_SOL_SOCKET, BSD_SO_RCVLOWAT, FORM_INT, TG_SO_RCVLOWAT, 0},
	{BSD_SOL_SOCKET, BSD_SO_ACCEPTCONN, FORM_BOOL, TG_SO_ACCEPTCONN, 1},
	{BSD_SOL_TCP, BSD_TCP_NODELAY, FORM_BOOL, TG_TCP_NODELAY, 0},
	{BSD_SOL_TCP, BSD_TCP_MAXSEG, FORM_INT, TG_TCP_MAXSEG, 0},
	{BSD_SOL_TCP, BSD_TCP_CORK, FORM_BOOL, TG_TCP_CORK, 0},
	{BSD_SOL_TCP, BSD_TCP_KEEPIDLE, FORM_S, TG_TCP_KEEPIDLE, 0},
	{BSD_SOL_TCP, BSD_TCP_KEEPINTVL, FORM_S, TG_TCP_KEEPINTVL, 0},
	{BSD_SOL_TCP, BSD_TCP_KEEPCNT, FORM_INT, TG_TCP_KEEPCNT, 0},
	{BSD_SOL_TCP, BSD_TCP_QUICKACK, FORM_BOOL, TG_TCP_QUICKACK, 0},
	{BSD_SOL_TCP, BSD_TCP_USER_TIMEOUT, FORM_MS, TG_TCP_USER_TIMEOUT, 0},
	{BSD_SOL_TCP, BSD_TCP_NOTSENT_LOWAT, FORM_INT, TG_TCP_NOTSENT_LOWAT, 0},
	{BSD_SOL_TCP, BSD_TCP_DEFER_ACCEPT, FORM_S, TG_TCP_DEFER_ACCEPT, 0},
	{BSD_SOL_IP, BSD_IP_TOS, FORM_BYTE, TG_IP_TOS, 0},
	{BSD_SOL_IP, BSD_IP_TTL, FORM_BYTE, TG_IP_TTL, 0},
	{BSD_SOL_IP, BSD_IP_HDRINCL, FORM_FLAG, TG_IP_HDRINCL, 0},
	{BSD_SOL_IP, BSD_IP_RECVERR, FORM_FLAG, TG_IP_RECVERR, 0},
	{BSD_SOL_IP, BSD_IP_MTU_DISCOVER, FORM_BYTE, TG_IP_MTU_DISCOVER, 0},
	{BSD_SOL_IP, BSD_IP_MTU, FORM_BYTE, TG_IP_MTU, 1},
	{BSD_SOL_IP, BSD_IP_MULTICAST_TTL, FORM_BYTE, TG_IP_MULTICAST_TTL, 0},
	{BSD_SOL_IP, BSD_IP_MULTICAST_LOOP, FORM_FLAG, TG_IP_MULTICAST_LOOP, 0},
	{BSD_SOL_UDP, BSD_UDP_CORK, FORM_BOOL, TG_UDP_CORK, 0},
	{BSD_SOL_UDP, BSD_UDP_SEGMENT, FORM_INT, TG_UDP_SEGMENT, 0},
	{BSD_SOL_UDP, BSD_UDP_GRO, FORM_BOOL, TG_UDP_GRO, 0},
};

static const struct opt *opt_find(int level, int name)
{
	for (size_t i = 0; i < ARRAY_LEN(opts); i++)
		if (opts[i].level == level && opts[i].name == name)
			return &opts[i];
	return NULL;
}

/* Copies a value out, cut to the room there is, as Linux does. */
static int give(void *val, uint32_t *len, const void *from, uint32_t n)
{
	*len = min_u32(*len, n);
	memcpy(val, from, *len);
	return 0;
}

/* ---- Options that have no counterpart in the core -------------------------------------------- */

static int get_timeout(uint64_t ns, void *val, uint32_t *len)
{
	struct bsd_timeval tv = {
		(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / NS_PER_US)};

	return give(val, len, &tv, sizeof(tv));
}

static int set_timeout(uint64_t *ns, const void *val, uint32_t len)
{
	struct bsd_timeval tv;

	if (len < sizeof(tv))
		return -TG_EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -TG_EDOM;
	if (tv.sec < 0)
		*ns = 1; /* as Linux: waits no time at all */
	else if (tv.sec > INT32_MAX)
		*ns = 0;
	else
		*ns = (uint64_t)tv.sec * NS_PER_SEC + (uint64_t)tv.usec * NS_PER_US;
	return 0;
}

static int get_int(int32_t v, void *val, uint32_t *len)
{
	return give(val, len, &v, sizeof(v));
}

/* As Linux: a small value fits into one byte if that is all the room there is. */
static int get_byte(int32_t v, void *val, uint32_t *len)
{
	uint8_t byte = (uint8_t)v;

	if (*len < sizeof(v) && *len > 0 && v >= 0 && v <= 255)
		return give(val, len, &byte, sizeof(byte));
	return get_int(v, val, len);
}

/* As Linux: 16 bytes, the name and zeros. */
static int get_congestion(struct bsd *b, const struct bsd_file *f, void *val, uint32_t *len)
{
	char name[BSD_CA_NAME_MAX] = {0};
	int64_t v;
	int r = tg_sock_getopt(b->s, f->sock, TG_TCP_CONGESTION, &v);
	const char *from;

	if (r < 0)
		return r;
	from = tg_cc_name((unsigned)v);
	for (size_t i = 0; from && from[i] && i < sizeof(name) - 1; i++)
		name[i] = from[i];
	return give(val, len, name, sizeof(name));
}

static int get_pacing_rate(struct bsd *b, const struct bsd_file *f, void *val, uint32_t *len)
{
	int64_t v = 0;
	uint64_t rate;
	uint32_t small;

	if (f->type == TG_STREAM) {
		int r = tg_sock_getopt(b->s, f->sock, TG_SO_MAX_PACING_RATE, &v);

		if (r < 0)
			return r;
	}
	rate = v ? (uint64_t)v : UINT64_MAX;
	if (*len >= sizeof(rate))
		return give(val, len, &rate, sizeof(rate));
	small = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	return give(val, len, &small, sizeof(small));
}

/* 1: not one of these. */
static int get_socket_level(
	struct bsd *b, const struct bsd_file *f, int name, void *val, uint32_t *len)
{
	switch (name) {
	case BSD_SO_RCVTIMEO: return get_timeout(f->rcv_timeout_ns, val, len);
	case BSD_SO_SNDTIMEO: return get_timeout(f->snd_timeout_ns, val, len);
	case BSD_SO_DOMAIN: return get_int(BSD_AF_INET, val, len);
	case BSD_SO_MAX_PACING_RATE: return get_pacing_rate(b, f, val, len);
	case BSD_SO_SNDLOWAT: return get_int(1, val, len);
	case BSD_SO_PROTOCOL:
		return get_int(f->type == TG_STREAM  ? BSD_SOL_TCP
			       : f->type == TG_DGRAM ? BSD_SOL_UDP
						     : f->proto,
			val, len);
	default: return 1;
	}
}

static int get_ip_level(const struct bsd_file *f, int name, void *val, uint32_t *len)
{
	switch (name) {
	case BSD_IP_PKTINFO: return get_byte(f->recv_pktinfo, val, len);
	case BSD_IP_RECVTTL: return get_byte(f->recv_ttl, val, len);
	case BSD_IP_RECVTOS: return get_byte(f->recv_tos, val, len);
	case BSD_IP_MULTICAST_IF: return give(val, len, f->mc_source.b + 12, 4);
	default: return 1;
	}
}

static int get_tcp_level(
	struct bsd *b, const struct bsd_file *f, int name, void *val, uint32_t *len)
{
	if (f->type != TG_STREAM)
		return -TG_EOPNOTSUPP;
	if (name == BSD_TCP_INFO)
		return bsd_tcp_info(b, f, val, len);
	return name == BSD_TCP_CONGESTION ? get_congestion(b, f, val, len) : 1;
}

/* ---- getsockopt ------------------------------------------------------------------------------ */

static int give_value(const struct opt *o, int64_t v, void *val, uint32_t *len)
{
	struct bsd_linger l = {0};
	int32_t i = (int32_t)v;

	switch ((enum form)o->form) {
	case FORM_LINGER:
		l.onoff = v >= 0;
		l.linger_s = v >= 0 ? (int32_t)(v / (int64_t)NS_PER_SEC) : 0;
		return give(val, len, &l, sizeof(l));
	case FORM_S: i = (int32_t)(v / (int64_t)NS_PER_SEC); break;
	case FORM_MS: i = (int32_t)(v / (int64_t)NS_PER_MS); break;
	case FORM_BUF: i = v > INT32_MAX / 2 ? INT32_MAX : (int32_t)(2 * v); break;
	case FORM_BYTE:
	case FORM_FLAG: return get_byte(i, val, len);
	case FORM_INT:
	case FORM_BOOL: break;
	}
	return get_int(i, val, len);
}

static int get_option(
	struct bsd *b, const struct bsd_file *f, int level, int name, void *val, uint32_t *len)
{
	const struct opt *o;
	int64_t v;
	int r;

	if (*len > INT32_MAX)
		return -TG_EINVAL;
	switch (level) {
	case BSD_SOL_SOCKET: r = get_socket_level(b, f, name, val, len); break;
	case BSD_SOL_IP: r = get_ip_level(f, name, val, len); break;
	case BSD_SOL_TCP: r = get_tcp_level(b, f, name, val, len); break;
	case BSD_SOL_UDP: r = f->type == TG_DGRAM ? 1 : -TG_EOPNOTSUPP; break;
	default: return -TG_EOPNOTSUPP;
	}
	if (r <= 0)
		return r;
	o = opt_find(level, name);
	if (!o)
		return -TG_ENOPROTOOPT;
	r = tg_sock_getopt(b->s, f->sock, (enum tg_option)o->core, &v);
	return r < 0 ? r : give_value(o, v, val, len);
}

int bsd_getsockopt(struct bsd *b, int fd, int level, int name, void *val, uint32_t *len)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = get_option(b, f, level, name, val, len);
	bsd_put(b, f);
	return r;
}

/* ---- setsockopt ------------------------------------------------------------------------------ */

/* An int, or at the level of IP as little as a byte. */
static int take_int(bool byte_will_do, const void *val, uint32_t len, int32_t *i)
{
	*i = 0;
	if (len >= sizeof(*i))
		memcpy(i, val, sizeof(*i));
	else if (!byte_will_do)
		return -TG_EINVAL;
	else if (len)
		*i = *(const uint8_t *)val;
	return 0;
}

/* As Linux: a negative time is a very long one. */
static int64_t linger_value(const struct bsd_linger *l)
{
	uint32_t s = min_u32((uint32_t)l->linger_s, INT32_MAX);

	return l->onoff ? (int64_t)s * (int64_t)NS_PER_SEC : -1;
}

/* As Linux: what is too small is taken for the least, above the most (or below nothing: the buffer
 * is as large as may be). */
static int64_t buffer_value(int32_t i, bool send)
{
	const uint32_t most = 212992, least = send ? 2304 : 1152;

	return max_u32(min_u32((uint32_t)i, most), least);
}

/* As Linux: the times are those at which a SYN-ACK would be sent again, 1, 3, 7 ... s after the
 * first; 0 stays 0. */
static int64_t defer_value(int32_t seconds)
{
	int64_t step = 1, total = seconds > 0 ? 1 : 0;

	for (int n = 1; total < seconds && n < 255; n++) {
		step = step * 2 < 120 ? step * 2 : 120;
		total += step;
	}
	return total;
}

/* The core's value of what was passed. */
static int take_value(
	const struct opt *o, const struct bsd_file *f, const void *val, uint32_t len, int64_t *v)
{
	struct bsd_linger l;
	int32_t i;
	int r;

	if (o->form == FORM_LINGER && len < sizeof(l))
		return -TG_EINVAL;
	r = take_int(o->level == BSD_SOL_IP, val, len, &i);
	*v = i;
	if (r < 0)
		return r;
	switch ((enum form)o->form) {
	case FORM_LINGER:
		memcpy(&l, val, sizeof(l));
		*v = linger_value(&l);
		return 0;
	case FORM_S:
		if (o->name == BSD_TCP_DEFER_ACCEPT)
			*v = defer_value(i);
		*v *= (int64_t)NS_PER_SEC;
		return i < (o->name == BSD_TCP_DEFER_ACCEPT ? 0 : 1) ? -TG_EINVAL : 0;
	case FORM_MS: *v *= (int64_t)NS_PER_MS; return i < 0 ? -TG_EINVAL : 0;
	case FORM_BOOL:
	case FORM_FLAG: *v = i != 0; return 0;
	case FORM_BUF: *v = buffer_value(i, o->name == BSD_SO_SNDBUF); return 0;
	case FORM_BYTE:
		if (o->name == BSD_IP_TTL)
			*v = i == -1 ? 64 : i;
		else if (o->name == BSD_IP_MTU_DISCOVER)
			*v = i;
		else if (o->name == BSD_IP_MULTICAST_TTL)
			*v = i == -1 ? 1 : i;
		else /* the two bits of ECN are the stream's own affair */
			*v = i & (f->type == TG_STREAM ? 0xfc : 0xff);
		return 0;
	case FORM_INT: break;
	}
	if (o->name == BSD_SO_RCVLOWAT && i < 0)
		*v = INT32_MAX;
	if (o->name == BSD_TCP_NOTSENT_LOWAT && o->level == BSD_SOL_TCP)
		*v = (uint32_t)i;
	return 0;
}

/* struct in_addr, ip_mreq (group, address) or ip_mreqn (..., index). */
static int set_multicast_if(struct bsd *b, struct bsd_file *f, const void *val, uint32_t len)
{
	const uint8_t *at = val;
	struct tg_ip none = {{0}}, ip;
	uint32_t via = 0;
	int r;

	if (f->type == TG_STREAM || len < 4)
		return -TG_EINVAL;
	at += len < 8 ? 0 : 4;
	ip = tg_ip4(at[0], at[1], at[2], at[3]);
	if (len >= 12)
		memcpy(&via, at + 4, sizeof(via));
	if (!tg_ip4_value(&ip))
		ip = none;
	else if (!via)
		via = (uint32_t)(ip_netif_with(b->s, &ip) + 1);
	if (tg_ip4_value(&ip) && !via)
		return -TG_EADDRNOTAVAIL;
	r = tg_sock_setopt(b->s, f->sock, TG_IP_MULTICAST_IF, via, bsd_now(b));
	if (r == 0)
		f->mc_source = ip;
	return r;
}

static int set_ip_flag(struct bsd *b, struct bsd_file *f, int name, const void *val, uint32_t len)
{
	int32_t i;

	take_int(true, val, len, &i);
	switch (name) {
	case BSD_IP_PKTINFO: f->recv_pktinfo = i != 0; return 0;
	case BSD_IP_RECVTTL: f->recv_ttl = i != 0; return 0;
	case BSD_IP_RECVTOS: f->recv_tos = i != 0; return 0;
	case BSD_IP_MULTICAST_LOOP:
	case BSD_IP_MULTICAST_TTL:
		if (f->type == TG_STREAM || len < 1)
			return -TG_EINVAL;
		return 1;
	case BSD_IP_MULTICAST_IF: return set_multicast_if(b, f, val, len);
	/* As Linux says it of streams. Others are refused as what is not known. */
	case BSD_IP_ADD_MEMBERSHIP: return f->type == TG_STREAM ? -TG_EPROTO : -TG_ENOPROTOOPT;
	default: return 1;
	}
}

/* As Linux: up to 15 bytes of name, a zero ends it earlier. */
static int set_congestion(struct bsd *b, const struct bsd_file *f, const void *val, uint32_t len)
{
	const char *text = val, *name;
	uint32_t n = 0;

	if (len < 1)
		return -TG_EINVAL;
	while (n < len && n < BSD_CA_NAME_MAX - 1 && text[n])
		n++;
	for (unsigned cc = 0; (name = tg_cc_name(cc)); cc++) {
		uint32_t i = 0;

		while (i < n && name[i] && name[i] == text[i])
			i++;
		if (i == n && !name[i])
			return tg_sock_setopt(b->s, f->sock, TG_TCP_CONGESTION, cc, bsd_now(b));
	}
	return -TG_ENOENT;
}

/* As Linux: 64 bits or 32, in both all ones for none. */
static int set_pacing_rate(struct bsd *b, const struct bsd_file *f, const void *val, uint32_t len)
{
	uint64_t rate;
	uint32_t small;

	if (f->type != TG_STREAM)
		return 0; /* means nothing there */
	if (len == sizeof(rate)) {
		memcpy(&rate, val, sizeof(rate));
	} else {
		memcpy(&small, val, sizeof(small));
		rate = small == UINT32_MAX ? UINT64_MAX : small;
	}
	return tg_sock_setopt(b->s, f->sock, TG_SO_MAX_PACING_RATE,
		rate > INT64_MAX ? 0 : (int64_t)rate, bsd_now(b));
}

static int set_option(
	struct bsd *b, struct bsd_file *f, int level, int name, const void *val, uint32_t len)
{
	const struct opt *o = opt_find(level, name);
	int64_t v;
	int r = 1;

	if (len > INT32_MAX)
		return -TG_EINVAL;
	if (level != BSD_SOL_SOCKET && level != BSD_SOL_IP &&
		!(level == BSD_SOL_TCP && f->type == TG_STREAM) &&
		!(level == BSD_SOL_UDP && f->type == TG_DGRAM))
		return -TG_ENOPROTOOPT;
	if (level == BSD_SOL_SOCKET && len < sizeof(int32_t))
		return -TG_EINVAL;
	if (level == BSD_SOL_SOCKET && name == BSD_SO_RCVTIMEO)
		return set_timeout(&f->rcv_timeout_ns, val, len);
	if (level == BSD_SOL_SOCKET && name == BSD_SO_SNDTIMEO)
		return set_timeout(&f->snd_timeout_ns, val, len);
	if (level == BSD_SOL_TCP && name == BSD_TCP_CONGESTION)
		return set_congestion(b, f, val, len);
	if (level == BSD_SOL_SOCKET && name == BSD_SO_MAX_PACING_RATE)
		return set_pacing_rate(b, f, val, len);
	if (level == BSD_SOL_IP)
		r = set_ip_flag(b, f, name, val, len);
	if (r <= 0)
		return r;
	if (!o || o->read_only)
		return -TG_ENOPROTOOPT;
	r = take_value(o, f, val, len, &v);
	return r < 0 ? r : tg_sock_setopt(b->s, f->sock, (enum tg_option)o->core, v, bsd_now(b));
}

int bsd_setsockopt(struct bsd *b, int fd, int level, int name, const void *val, uint32_t len)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = set_option(b, f, level, name, val, len);
	bsd_put(b, f);
	return r;
}

/* ---- fcntl and ioctl ------------------------------------------------------------------------- */

int bsd_fcntl(struct bsd *b, int fd, int cmd, int arg)
{
	int r = 0;
	struct bsd_file *f = bsd_get_any(b, fd, &r);
	bool *cloexec = f ? &b->files[fd - b->first_fd].cloexec : NULL;

	if (!f)
		return r;
	switch (cmd) {
	case BSD_F_GETFD: r = *cloexec; break;
	case BSD_F_SETFD: *cloexec = (arg & 1) != 0; break;
	case BSD_F_GETFL: r = BSD_O_RDWR | (f->nonblock ? BSD_O_NONBLOCK : 0); break;
	case BSD_F_SETFL: f->nonblock = (arg & BSD_O_NONBLOCK) != 0; break;
	default: r = -TG_EINVAL; break;
	}
	bsd_put(b, f);
	return r;
}

static int ask_int(struct bsd *b, const struct bsd_file *f, enum tg_option opt, int *arg)
{
	int64_t v = 0;
	int r;

	if (f->type != TG_STREAM && opt == TG_SO_ATMARK)
		return -TG_ENOTTY;
	/* As Linux: none of these makes sense of a listener. */
	if (opt != TG_SO_ATMARK && tg_sock_getopt(b->s, f->sock, TG_SO_ACCEPTCONN, &v) == 0 && v)
		return -TG_EINVAL;
	r = tg_sock_getopt(b->s, f->sock, opt, &v);
	*arg = (int)v;
	return r;
}

static int ask_unsent(struct bsd *b, const struct bsd_file *f, int *arg)
{
	struct tg_tcp_info i;

	if (f->type != TG_STREAM)
		return -TG_ENOTTY;
	if (tg_tcp_status(b->s, f->sock, &i) < 0 || i.state == TG_LISTEN)
		return -TG_EINVAL;
	*arg = (int)i.unsent_bytes;
	return 0;
}

int bsd_ioctl(struct bsd *b, int fd, unsigned long request, int *arg)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	switch (request) {
	case BSD_FIONBIO: f->nonblock = *arg != 0; break;
	case BSD_FIONREAD: r = ask_int(b, f, TG_SO_INQ, arg); break;
	case BSD_SIOCOUTQ: r = ask_int(b, f, TG_SO_OUTQ, arg); break;
	case BSD_SIOCOUTQNSD: r = ask_unsent(b, f, arg); break;
	case BSD_SIOCATMARK: r = ask_int(b, f, TG_SO_ATMARK, arg); break;
	default: r = -TG_ENOTTY; break;
	}
	bsd_put(b, f);
	return r;
}
