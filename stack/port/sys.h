/* The system calls behind links, namespaces and listeners, as a table: a test lets one of them fail
 * and reads what people are told. All return -1 with errno set unless they say otherwise. */
#ifndef TG_PORT_SYS_H
#define TG_PORT_SYS_H

#include "tapglass_host.h"

#include <sys/socket.h>

struct sys_ops {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*socket)(int domain, int type, int protocol);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t bytes);
	int (*bind)(int fd, const struct sockaddr *a, socklen_t bytes);
	int (*listen)(int fd, int backlog);
	int (*unshare)(int flags);
	/* One rtnetlink request that is answered by an acknowledgment. */
	int (*rtnl)(const void *request, size_t bytes);
	/* Writes text to a file that exists, in one call. */
	int (*write_file)(const char *path, const char *text);
	/* The whole of a small file as a string; false if there is none. */
	bool (*read_file)(const char *path, char *out, size_t cap);
	/* Permissions and owner of a file; 0 or -1. */
	int (*node_mode)(const char *path, unsigned *mode, unsigned *uid);
	/* What the kernel knows of an interface; false: there is none of that name. */
	bool (*tap_info)(const char *name, struct tg_tap_info *out);
	/* Who is attached to the TAP, as "pid 4242 (curl)"; false: not to be found out. */
	bool (*tap_holder)(const char *name, char *out, size_t cap);
	/* The same of whoever listens on a TCP port of this namespace's IPv4. */
	bool (*port_holder)(uint16_t port, char *out, size_t cap);
};
extern const struct sys_ops sys_ops_default;

/* From now on node_mode tells what is true of the file now: in a user namespace all owners but one
 * are nobody. path: a constant. */
void sys_remember_node(const char *path);

/* sys_find.c */
bool sys_read_file(const char *path, char *out, size_t cap);
bool sys_tap_holder(const char *name, char *out, size_t cap);
bool sys_port_holder(uint16_t port, char *out, size_t cap);
/* netlink.c */
int sys_rtnl(const void *request, size_t bytes);
bool sys_tap_info(const char *name, struct tg_tap_info *out);

#endif
