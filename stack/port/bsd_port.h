/* What the files of the BSD interface share: which host a descriptor belongs to, entering and
 * leaving it, and waiting. */
#ifndef TG_PORT_BSD_PORT_H
#define TG_PORT_BSD_PORT_H

#include "port/host.h"
#include "sock/bsd.h"
#include "tapglass_sockets.h"

#define BSD_FDS_MAX 65536 /* descriptor numbers below this can be sockets */

/* Who waits: a blocked call by its condition, tg_poll by a descriptor. */
struct bsd_waiter {
	pthread_cond_t cond;
	int wake_fd; /* -1: the condition */
	bool woken;
};
/* One waiter's place in the list of one open file. */
struct bsd_wait_link {
	struct bsd_wait_link *next, **at; /* at NULL: in no list */
	struct bsd_waiter *w;
};

/* The BSD sockets of one host. */
struct bsd_host {
	struct tg_host *h;
	struct host_inst *inst;
	struct bsd b;
	struct bsd_wait_link **waiting; /* by place of the open file */
	int reserve_fd;                 /* what reserved descriptors are duplicates of */
};

/* bsd_host.c */
/* The host's sockets, made by the first call, its thread running. NULL: errno. */
struct bsd_host *bsd_host_of(struct tg_host *h);
/* The host that fd belongs to, or NULL: the kernel's descriptor, or none. */
struct bsd_host *bsd_owner(int fd);
/* Enters the host of fd: locked, until bsd_leave. NULL: errno is EBADF, or ENOTSOCK for a
 * descriptor of the kernel's. */
struct bsd_host *bsd_enter(int fd);
void bsd_enter_host(struct bsd_host *bh);
/* Sends what the call caused, unlocks; returns r, or -1 with errno. */
int64_t bsd_leave(struct bsd_host *bh, int64_t r);
/* -1 with errno. */
int bsd_fail(int error);
void bsd_link_waiter(struct bsd_host *bh, struct bsd_wait_link *l, const struct bsd_file *f,
	struct bsd_waiter *w);
void bsd_unlink_waiter(struct bsd_wait_link *l);

/* bsd_epoll.c. False: fd is no set's. */
bool bsd_set_close(int fd, int *result);
bool bsd_set_dup(int fd, int *result);
/* Makes what the kernel's poll says of it true. */
bool bsd_set_look(int fd);
/* No set watches a socket of this host any more. */
void bsd_sets_forget(struct bsd_host *bh);

/* bsd_addr.c */
/* Linux's checks in Linux's order; *none: AF_UNSPEC. 0 or a negative errno. */
int bsd_addr_in(const struct sockaddr *sa, socklen_t len, struct tg_addr *a, bool *none);
/* The same of a whole address of any family. 0. */
int bsd_addr_raw(const struct sockaddr *sa, struct tg_addr *a);
/* Writes at most *len bytes and what it would take to *len. 0 or a negative errno. */
int bsd_addr_out(const struct tg_addr *a, struct sockaddr *sa, socklen_t *len);

/* bsd_msg.c: sendmsg and recvmsg on a set that the caller has to itself, the errno negative. */
int64_t bsd_send_msghdr(struct bsd *b, int fd, const struct msghdr *h, int flags);
int64_t bsd_recv_msghdr(struct bsd *b, int fd, struct msghdr *h, int flags);

#endif
