/* A TAP device: opened or made, configured, read and written, all by system calls of its own. The
 * packet socket on a veth pair is read and written the same way, with the same header in front of
 * frames: see link_packet.c. */
#ifndef TG_PORT_TAP_H
#define TG_PORT_TAP_H

#include "port/sys.h"
#include "tapglass_host.h"

#include <sys/uio.h>

#define TAP_NAME_BYTES 16u /* IFNAMSIZ */

struct tap_request {
	const char *name;
	bool plain;       /* no offloads */
	uint32_t mtu;     /* to be set on the device, 0: leave it */
	uint32_t host_ip; /* host order, 0: none */
	unsigned prefix_len;
	unsigned queue, queues; /* the how-manieth of several; 0 of 0 or 1: there is one */
};

struct tap {
	int fd; /* -1: closed */
	char name[TAP_NAME_BYTES];
	uint32_t mtu;
	uint32_t caps;   /* TG_CAP_*: granted */
	bool vnet;       /* frames carry a virtio header */
	bool packet;     /* no TAP: a packet socket */
	bool made;       /* it did not exist before, and goes with fd */
	bool gone;       /* the device has vanished: said once, fd closed */
	bool down;       /* the last write found the interface down: said once */
	uint64_t unsent; /* frames lost to that */
	struct tg_link_stats stats;
};

/* Attaches to the TAP or makes it. 0, or -errno with err filled in and nothing left behind. */
int tap_open(struct tap *t, const struct tap_request *q, const struct sys_ops *ops,
	struct tg_host_error *err);
void tap_close(struct tap *t);
/* "TSO, USO, checksum offload" */
const char *tap_offloads(const struct tap *t);

/* Reads a frame into buf, behind the header that the device puts in front of it; sets data, len and
 * the metadata of struct tg_pkt. Bytes of the frame, 0: none there (or the device is gone). */
uint32_t tap_read(struct tap *t, uint8_t *buf, uint32_t room, struct tg_pkt *meta);
struct virtio_net_hdr;
/* The same into n pieces, iov[1] to iov[n]; iov[0] is for the virtio header, which *v gets (zero
 * where frames carry none). */
uint32_t tap_read_pieces(struct tap *t, struct virtio_net_hdr *v, struct iovec *iov, unsigned n);
/* Sends f in one call. False: busy, wait for POLLOUT. What the device refuses for good is lost, as
 * on a cable. */
bool tap_write(struct tap *t, const struct tg_frame *f);
/* The device has vanished: says so and closes it. */
void tap_lost(struct tap *t, int errnum);

#endif
