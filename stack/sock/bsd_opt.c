/* Socket options, fcntl and ioctl of the BSD interface: Linux's levels, names and layouts over the
 * core's options. Left out so far: TCP_INFO and TCP_CONGESTION, control data of messages. Buffer
 * sizes are exact here, where Linux doubles them. */
#include "sock/bsd.h"

/* How a value is written. */
enum form {
	FORM_INT,  /* int, as it is */
	FORM_BOOL, /* int, 0 or 1 */
	FORM_S,    /* int, seconds */
	FORM_MS,   /* int, milliseconds */
	FORM_LINGER
};

static const struct opt {
	uint8_t level, name, form, core, read_only;
} opts[] = {
	{BSD_SOL_SOCKET, BSD_SO_REUSEADDR, FORM_BOOL, TG_SO_REUSEADDR, 0},
	{BSD_SOL_SOCKET, BSD_SO_TYPE, FORM_INT, TG_SO_TYPE, 1},
	{BSD_SOL_SOCKET, BSD_SO_ERROR, FORM_INT, TG_SO_ERROR, 1},
	{BSD_SOL_SOCKET, BSD_SO_BROADCAST, FORM_BOOL, TG_SO_BROADCAST, 0},
	{BSD_SOL_SOCKET, BSD_SO_SNDBUF, FORM_INT, TG_SO_SNDBUF, 0},
	{BSD_SOL_SOCKET, BSD_SO_RCVBUF, FORM_INT, TG_SO_RCVBUF, 0},
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
	{BSD_SOL_IP, BSD_IP_TOS, FORM_INT, TG_IP_TOS, 0},
	{BSD_SOL_IP, BSD_IP_TTL, FORM_INT, TG_IP_TTL, 0},
};

static const struct opt *opt_find(int level, int name)
{
	for (size_t i = 0; i < ARRAY_LEN(opts); i++)
		if (opts[i].level == level && opts[i].name == name)
			return &opts[i];
	return NULL;
}

static struct bsd_file *file_of(const struct bsd *b, int fd)
{
	return bsd_sock(b, fd) ? &b->files[fd - b->first_fd] : NULL;
}

static uint64_t now_of(const struct bsd *b)
{
	return b->now ? b->now(b->ctx) : 0;
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
	if (tv.usec < 0 || tv.usec >= 1000000 || tv.sec < 0 || tv.sec > INT32_MAX)
		return -TG_EINVAL;
	*ns = (uint64_t)tv.sec * NS_PER_SEC + (uint64_t)tv.usec * NS_PER_US;
	return 0;
}

/* 1: not one of these. */
static int get_local(const struct bsd_file *f, int name, void *val, uint32_t *len)
{
	int32_t v;

	switch (name) {
	case BSD_SO_RCVTIMEO: return get_timeout(f->rcv_timeout_ns, val, len);
	case BSD_SO_SNDTIMEO: return get_timeout(f->snd_timeout_ns, val, len);
	case BSD_SO_DOMAIN: v = BSD_AF_INET; return give(val, len, &v, sizeof(v));
	case BSD_SO_PROTOCOL:
		v = f->type == TG_STREAM ? BSD_SOL_TCP : f->type == TG_DGRAM ? BSD_SOL_UDP : 0;
		return give(val, len, &v, sizeof(v));
	default: return 1;
	}
}

/* ---- The calls ------------------------------------------------------------------------------- */

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
	case FORM_INT:
	case FORM_BOOL: break;
	}
	return give(val, len, &i, sizeof(i));
}

int bsd_getsockopt(struct bsd *b, int fd, int level, int name, void *val, uint32_t *len)
{
	struct bsd_file *f = file_of(b, fd);
	const struct opt *o;
	int64_t v;
	int r;

	if (!f)
		return -TG_EBADF;
	r = level == BSD_SOL_SOCKET ? get_local(f, name, val, len) : 1;
	if (r <= 0)
		return r;
	o = opt_find(level, name);
	if (!o || (level == BSD_SOL_TCP && f->type != TG_STREAM))
		return -TG_ENOPROTOOPT;
	r = tg_sock_getopt(b->s, f->sock, (enum tg_option)o->core, &v);
	return r < 0 ? r : give_value(o, v, val, len);
}

/* The core's value of what was passed. */
static int take_value(const struct opt *o, const void *val, uint32_t len, int64_t *v)
{
	struct bsd_linger l;
	int32_t i;

	if (len < (o->form == FORM_LINGER ? sizeof(l) : sizeof(i)))
		return -TG_EINVAL;
	memcpy(&i, val, sizeof(i));
	*v = i;
	switch ((enum form)o->form) {
	case FORM_LINGER:
		memcpy(&l, val, sizeof(l));
		*v = l.onoff ? (int64_t)l.linger_s * (int64_t)NS_PER_SEC : -1;
		return l.onoff && l.linger_s < 0 ? -TG_EINVAL : 0;
	case FORM_S: *v *= (int64_t)NS_PER_SEC; return i < 1 ? -TG_EINVAL : 0;
	case FORM_MS: *v *= (int64_t)NS_PER_MS; return i < 0 ? -TG_EINVAL : 0;
	case FORM_BOOL: *v = i != 0; return 0;
	case FORM_INT: break;
	}
	return 0;
}

int bsd_setsockopt(struct bsd *b, int fd, int level, int name, const void *val, uint32_t len)
{
	struct bsd_file *f = file_of(b, fd);
	const struct opt *o;
	int64_t v;
	int r;

	if (!f)
		return -TG_EBADF;
	if (level == BSD_SOL_SOCKET && name == BSD_SO_RCVTIMEO)
		return set_timeout(&f->rcv_timeout_ns, val, len);
	if (level == BSD_SOL_SOCKET && name == BSD_SO_SNDTIMEO)
		return set_timeout(&f->snd_timeout_ns, val, len);
	o = opt_find(level, name);
	if (!o || o->read_only || (level == BSD_SOL_TCP && f->type != TG_STREAM))
		return -TG_ENOPROTOOPT;
	r = take_value(o, val, len, &v);
	return r < 0 ? r : tg_sock_setopt(b->s, f->sock, (enum tg_option)o->core, v, now_of(b));
}

int bsd_fcntl(struct bsd *b, int fd, int cmd, int arg)
{
	struct bsd_file *f = file_of(b, fd);

	if (!f)
		return -TG_EBADF;
	if (cmd == BSD_F_GETFL)
		return BSD_O_RDWR | (f->nonblock ? BSD_O_NONBLOCK : 0);
	if (cmd != BSD_F_SETFL)
		return -TG_EINVAL;
	f->nonblock = (arg & BSD_O_NONBLOCK) != 0;
	return 0;
}

int bsd_ioctl(struct bsd *b, int fd, unsigned long request, int *arg)
{
	struct bsd_file *f = file_of(b, fd);
	int64_t v = 0;
	int r;

	if (!f)
		return -TG_EBADF;
	switch (request) {
	case BSD_FIONBIO: f->nonblock = *arg != 0; return 0;
	case BSD_FIONREAD:
	case BSD_SIOCOUTQ:
		/* As Linux: neither makes sense of a listener. */
		if (tg_sock_getopt(b->s, f->sock, TG_SO_ACCEPTCONN, &v) == 0 && v)
			return -TG_EINVAL;
		r = tg_sock_getopt(
			b->s, f->sock, request == BSD_FIONREAD ? TG_SO_INQ : TG_SO_OUTQ, &v);
		*arg = (int)v;
		return r;
	default: return -TG_EINVAL;
	}
}
