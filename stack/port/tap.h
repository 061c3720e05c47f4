/* A TAP device: opened or made, configured, read and written, all by system calls of its own. */
#ifndef TG_PORT_TAP_H
#define TG_PORT_TAP_H

#include "tapglass_host.h"

#define TAP_NAME_BYTES 16u /* IFNAMSIZ */

/* The system calls of opening, so that a test can let them fail. All return -1 with errno set. */
struct sys_ops {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*socket)(int domain, int type, int protocol);
	/* Permissions and owner of a file; 0 or -1. */
	int (*node_mode)(const char *path, unsigned *mode, unsigned *uid);
	/* Uid that an existing TAP belongs to, -1: nobody. */
	long (*tap_owner)(const char *name);
	/* Who is attached to the TAP, as "pid 4242 (curl)"; false: not to be found out. */
	bool (*tap_holder)(const char *name, char *out, size_t cap);
};
extern const struct sys_ops sys_ops_default;

struct tap_request {
	const char *name;
	bool plain;       /* no offloads */
	uint32_t mtu;     /* to be set on the device, 0: leave it */
	uint32_t host_ip; /* host order, 0: none */
	unsigned prefix_len;
};

struct tap {
	int fd; /* -1: closed */
	char name[TAP_NAME_BYTES];
	uint32_t mtu;
	uint32_t caps;   /* TG_CAP_*: granted */
	bool vnet;       /* frames carry a virtio header */
	bool made;       /* it did not exist before, and goes with fd */
	bool gone;       /* the device has vanished: said once, fd closed */
	bool down;       /* the last write found the interface down: said once */
	uint64_t unsent; /* frames lost to that */
};

/* Attaches to the TAP or makes it. 0, or -errno with err filled in and nothing left behind. */
int tap_open(struct tap *t, const struct tap_request *q, const struct sys_ops *ops,
	struct tg_host_error *err);
void tap_close(struct tap *t);
/* "TSO, USO, checksum offload" */
const char *tap_offloads(const struct tap *t);

/* Reads a frame into data; sets the metadata of struct tg_pkt. Bytes of the frame, 0: none there
 * (or the device is gone). */
uint32_t tap_read(struct tap *t, uint8_t *data, uint32_t room, struct tg_pkt *meta);
/* Sends f in one call. False: busy, wait for POLLOUT. What the device refuses for good is lost, as
 * on a cable. */
bool tap_write(struct tap *t, const struct tg_frame *f);
/* The device has vanished: says so and closes it. */
void tap_lost(struct tap *t, int errnum);

#endif
