/* The table that packetdrill fills from a shared object: one symbol is looked up and called for
 * each script, with the text of --so_flags (or NULL) and a zeroed table. The order of the members
 * is packetdrill's, which calls through them by place; the names are those of the POSIX calls.
 *
 * Socket calls have POSIX arguments behind userdata, return the POSIX result and set errno. */
#ifndef TG_PACKETDRILL_INTERFACE_H
#define TG_PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

struct packetdrill_interface {
	void *userdata; /* the first argument of every function */
	void (*free)(void *userdata);
	int (*socket)(void *userdata, int domain, int type, int protocol);
	int (*bind)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(void *userdata, int fd, int backlog);
	int (*accept)(void *userdata, int fd, struct sockaddr *addr, socklen_t *len);
	int (*connect)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);

	ssize_t (*read)(void *userdata, int fd, void *buf, size_t n);
	ssize_t (*readv)(void *userdata, int fd, const struct iovec *v, int n);
	ssize_t (*recv)(void *userdata, int fd, void *buf, size_t n, int flags);
	ssize_t (*recvfrom)(void *userdata, int fd, void *buf, size_t n, int flags,
		struct sockaddr *from, socklen_t *len);
	ssize_t (*recvmsg)(void *userdata, int fd, struct msghdr *m, int flags);

	ssize_t (*write)(void *userdata, int fd, const void *buf, size_t n);
	ssize_t (*writev)(void *userdata, int fd, const struct iovec *v, int n);
	ssize_t (*send)(void *userdata, int fd, const void *buf, size_t n, int flags);
	ssize_t (*sendto)(void *userdata, int fd, const void *buf, size_t n, int flags,
		const struct sockaddr *to, socklen_t len);
	ssize_t (*sendmsg)(void *userdata, int fd, const struct msghdr *m, int flags);

	int (*fcntl)(void *userdata, int fd, int cmd, ...);               /* int */
	int (*ioctl)(void *userdata, int fd, unsigned long request, ...); /* int * */
	int (*close)(void *userdata, int fd);
	int (*shutdown)(void *userdata, int fd, int how);
	int (*getsockopt)(void *userdata, int fd, int level, int name, void *val, socklen_t *len);
	int (*setsockopt)(
		void *userdata, int fd, int level, int name, const void *val, socklen_t len);
	int (*poll)(void *userdata, struct pollfd *p, nfds_t n, int timeout_ms);

	/* A raw IP packet into the stack: 0 or -1. */
	int (*netdev_send)(void *userdata, const void *buf, size_t bytes);
	/* The next that leaves it. *bytes: room, then length, 0 if none comes; *time_us: when it
	 * left, by the clock of gettimeofday. 0, or -1 to be called again. */
	int (*netdev_receive)(void *userdata, void *buf, size_t *bytes, long long *time_us);

	int (*usleep)(void *userdata, useconds_t us);
	int (*gettimeofday)(void *userdata, struct timeval *tv, struct timezone *tz);

	int (*epoll_create)(void *userdata, int size);
	int (*epoll_ctl)(void *userdata, int epfd, int op, int fd, struct epoll_event *ev);
	int (*epoll_wait)(
		void *userdata, int epfd, struct epoll_event *ev, int max, int timeout_ms);
	int (*pipe)(void *userdata, int fd[2]);
	int (*splice)(void *userdata, int fd_in, loff_t *off_in, int fd_out, loff_t *off_out,
		size_t n, unsigned flags);
};

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *ifc);

#endif
