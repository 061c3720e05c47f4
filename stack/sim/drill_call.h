/* The packet-script engine: what the files of its calls share. */
#ifndef TG_SIM_DRILL_CALL_H
#define TG_SIM_DRILL_CALL_H

#include "sim/drill.h"

#define DRILL_BYTES_MAX 65536u /* of one read or write */
#define DRILL_ARGS      8u

/* A call under way: arguments by position. */
struct act {
	struct drill *d;
	const struct drill_event *e;
	const struct drill_call *c;
	const struct expr *arg[DRILL_ARGS];
	bool bad; /* an argument makes no sense: the error is set */
};

/* drill_call.c: the error is set, with the place of x, or of the call if that is NULL. */
void drill_bad_arg(struct act *a, const struct expr *x, const char *why);
int drill_int_arg(struct act *a, unsigned i);
/* The number in x, or in a call such as htons(N). */
int64_t drill_number(struct act *a, const struct expr *x);
int drill_fd_arg(struct act *a, unsigned i);
size_t drill_bytes_arg(struct act *a, unsigned i);
/* The member of that name, or the position-th if members have no names; NULL: there is none. */
const struct expr *drill_member(const struct expr *x, const char *name, unsigned position);
int64_t drill_member_int(struct act *a, const struct expr *x, const char *name, unsigned position);
/* A struct may have only these members: the error is set for others. */
void drill_only(struct act *a, const struct expr *x, const char *const *names, unsigned n);
/* The one number in "[N]". */
int64_t drill_boxed(struct act *a, const struct expr *x);
/* The call told another value than the script: what is the name of it. */
void drill_wrong_value(struct act *a, const char *what, int64_t want, int64_t got);
/* drill_sock.c: "..." stands for this address and port. */
struct tg_addr drill_addr_arg(struct act *a, const struct expr *x, uint32_t ip, uint16_t port);

#define CALL(name) int64_t drill_do_##name(struct act *a)
/* drill_sock.c */
CALL(socket);
CALL(bind);
CALL(listen);
CALL(accept);
CALL(accept4);
CALL(connect);
CALL(shutdown);
CALL(close);
CALL(dup);
CALL(getsockname);
CALL(getpeername);
/* drill_io.c */
CALL(read);
CALL(recv);
CALL(recvfrom);
CALL(write);
CALL(send);
CALL(sendto);
CALL(readv);
CALL(writev);
/* drill_msg.c */
CALL(sendmsg);
CALL(recvmsg);
CALL(sendmmsg);
/* drill_opt.c */
CALL(fcntl);
CALL(ioctl);
CALL(setsockopt);
CALL(getsockopt);
/* drill_poll.c */
CALL(poll);
CALL(epoll_create);
CALL(epoll_create1);
CALL(epoll_ctl);
CALL(epoll_wait);

/* drill_io.c: [{..., N}, ...] as pieces of d->payload, cap of them at most; their number. */
unsigned drill_iov_arg(struct act *a, const struct expr *x, struct bsd_iov *out, unsigned cap);
#define DRILL_IOV_MAX 64u

#endif
