/* Frames from and to a TAP: one system call each, the virtio header (virtio 1.2, 5.1.6) in front of
 * it. Nothing of a header that does not fit its frame is believed. */
#define _GNU_SOURCE
#include "port/error.h"
#include "core/gso.h"
#include "core/core.h"
#include "port/tap.h"
#include "port/tap_vnet.h"
#include "wire/eth.h"
#include "wire/ip4.h"
#include "wire/tcp_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(struct virtio_net_hdr) == 10, "frames follow it at once");

#define FLAT_BYTES 1600u /* copying that costs less than a second piece */

/* Is this an IPv4 packet with that transport right behind its headers? Only the first bytes are
 * looked at; the core checks everything. */
static bool carries(const uint8_t *data, uint32_t len, uint8_t proto)
{
	struct eth_hdr e;
	struct ip4_hdr ip;

	return eth_parse(data, len, &e) == TG_DROP_NONE && e.type == ETH_TYPE_IP4 &&
	       ip4_parse_quoted(data + e.hdr_bytes, len - e.hdr_bytes, &ip) && ip.proto == proto;
}

void tap_meta_of_vnet(
	struct tg_pkt *meta, const struct virtio_net_hdr *v, const uint8_t *data, uint32_t len)
{
	bool partial = v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	meta->gso = TG_GSO_NONE;
	meta->gso_size = 0;
	meta->csum = TG_CSUM_UNKNOWN;
	if (partial && (uint32_t)v->csum_start + v->csum_offset + 2u > len)
		return;
	if (partial)
		meta->csum = TG_CSUM_PARTIAL;
	else if (v->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		meta->csum = TG_CSUM_VALID;
	if (v->gso_size == 0)
		return;
	switch (v->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		meta->gso = carries(data, len, IP_PROTO_TCP) ? TG_GSO_TCP4 : TG_GSO_NONE;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		meta->gso = carries(data, len, IP_PROTO_UDP) ? TG_GSO_UDP4 : TG_GSO_NONE;
		break;
	default: break;
	}
	if (meta->gso != TG_GSO_NONE)
		meta->gso_size = v->gso_size;
}

/* All headers lie in the first span; the transport's begins where its checksum does. */
static bool carries_cwr(const struct tg_frame *f)
{
	const uint8_t *head = f->span[0].base;

	return f->csum_partial && f->csum_start + 13u < f->span[0].len &&
	       (head[f->csum_start + 13] & TCP_CWR);
}

void tap_vnet_of_frame(struct virtio_net_hdr *v, const struct tg_frame *f)
{
	memset(v, 0, sizeof(*v));
	if (f->csum_partial) {
		v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v->csum_start = f->csum_start;
		v->csum_offset = f->csum_offset;
	}
	if (f->gso == TG_GSO_NONE)
		return;
	v->gso_type = f->gso == TG_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
	/* [3168 6.1.2] the device clears CWR behind the first segment only if it is told */
	if (f->gso == TG_GSO_TCP4 && carries_cwr(f))
		v->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	v->gso_size = f->gso_size;
	v->hdr_len = f->hdr_bytes;
}

void tap_lost(struct tap *t, int errnum)
{
	struct tg_host_error e;

	if (t->gone)
		return;
	t->gone = true;
	close(t->fd);
	t->fd = -1;
	error_begin(&e, errnum);
	ERROR_TEXT(e.what, "TAP %s has vanished", t->name);
	ERROR_TEXT(e.why, "it was deleted while we were attached to it");
	ERROR_TEXT(e.fix, "start again");
	ERROR_TEXT(e.meanwhile, "nothing arrives and nothing is sent on it");
	tg_host_print_error(&e);
}

/* One call, for a frame behind hdr_bytes that the device puts in front. The frame's bytes; 0: there
 * is none. */
static uint32_t read_frame(struct tap *t, const struct iovec *iov, unsigned n, uint32_t hdr_bytes)
{
	ssize_t got;

	if (t->fd < 0)
		return 0;
	do {
		t->stats.reads++;
		got = n == 1 ? read(t->fd, iov->iov_base, iov->iov_len) : readv(t->fd, iov, (int)n);
		if (got < 0 && errno == EAGAIN) {
			t->stats.reads_empty++;
			return 0;
		}
		if (got < 0 && errno != EINTR && !t->packet) {
			tap_lost(t, errno);
			return 0;
		}
		/* Not even a header, or a frame that a packet socket cannot describe: no frame,
		 * look for the next one. */
	} while (got <= (ssize_t)hdr_bytes);
	got -= (ssize_t)hdr_bytes;
	t->stats.frames_in++;
	t->stats.bytes_in += (uint64_t)got;
	return (uint32_t)got;
}

uint32_t tap_read_pieces(struct tap *t, struct virtio_net_hdr *v, struct iovec *iov, unsigned n)
{
	memset(v, 0, sizeof(*v));
	if (!t->vnet)
		return read_frame(t, iov + 1, n, 0);
	iov[0] = (struct iovec){v, sizeof(*v)};
	return read_frame(t, iov, n + 1, sizeof(*v));
}

/* In one piece: the kernel takes 20 ns less for it than for two. */
uint32_t tap_read(struct tap *t, uint8_t *buf, uint32_t room, struct tg_pkt *meta)
{
	struct virtio_net_hdr v = {0};
	struct iovec whole = {buf, room};
	uint32_t hdr_bytes = t->vnet ? sizeof(v) : 0, n = read_frame(t, &whole, 1, hdr_bytes);

	if (!n)
		return 0;
	memcpy(&v, buf, hdr_bytes);
	meta->data = buf + hdr_bytes;
	meta->len = n;
	tap_meta_of_vnet(meta, &v, meta->data, n);
	return n;
}

/* The interface is down, or the frame is refused: it is lost, like one on a cable pulled out. */
static void refused(struct tap *t, int errnum)
{
	struct tg_host_error e;

	t->unsent++;
	if (errnum == EBADFD || errnum == ENODEV || errnum == ENXIO || errnum == EFAULT) {
		tap_lost(t, errnum);
		return;
	}
	if ((errnum != EIO && errnum != ENETDOWN) || t->down)
		return;
	t->down = true;
	error_begin(&e, errnum);
	ERROR_TEXT(e.what, "TAP %s is down", t->name);
	ERROR_TEXT(e.why, "the interface was switched off on the host's side");
	ERROR_TEXT(e.fix, "ip link set %s up", t->name);
	ERROR_TEXT(e.meanwhile, "frames to it are lost");
	tg_host_print_error(&e);
}

/* The kernel has no memory in large enough pieces for a frame beyond 64 KB (TG_CAP_BIG4): the same
 * in frames that it takes whatever its memory is like. */
static void write_smaller(struct tap *t, const struct tg_frame *f)
{
	struct gso_super g = {.head = f->span[0].base,
		.head_bytes = f->hdr_bytes,
		.ip_off = ETH_HDR_BYTES,
		.l4_off = f->csum_start,
		.csum_offset = f->csum_offset,
		.body = &f->span[1],
		.n_body = f->n_spans - 1,
		.body_bytes = f->bytes - f->hdr_bytes,
		.gso = f->gso};
	uint8_t head[TX_HEAD_BYTES];
	struct tg_frame part = *f;

	g.gso_size = IP4_MAX_BYTES - f->hdr_bytes;
	g.gso_size -= g.gso_size % f->gso_size;
	for (uint32_t i = 0; i < gso_count(&g); i++) {
		uint32_t n = min_u32(g.gso_size, g.body_bytes - i * g.gso_size);

		part.n_spans = 1 + gso_segment(&g, i, head, &part.span[1]);
		part.span[0] = (struct tg_span){head, f->hdr_bytes};
		part.bytes = f->hdr_bytes + n;
		part.gso = n > f->gso_size ? f->gso : TG_GSO_NONE;
		part.gso_size = n > f->gso_size ? f->gso_size : 0;
		if (!tap_write(t, &part))
			t->unsent++;
	}
}

static bool is_big(const struct tg_frame *f)
{
	return f->bytes > IP4_MAX_BYTES + ETH_HDR_BYTES;
}

/* A small frame as one piece: the system call takes a buffer for less than three. */
static ssize_t write_flat(const struct tap *t, const struct tg_frame *f)
{
	struct {
		struct virtio_net_hdr v;
		uint8_t bytes[FLAT_BYTES];
	} flat;
	size_t n = 0;

	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(flat.bytes + n, f->span[i].base, f->span[i].len);
		n += f->span[i].len;
	}
	if (!t->vnet)
		return write(t->fd, flat.bytes, n);
	tap_vnet_of_frame(&flat.v, f);
	return write(t->fd, &flat, sizeof(flat.v) + n);
}

static ssize_t write_spans(const struct tap *t, const struct tg_frame *f)
{
	struct virtio_net_hdr v;
	struct iovec iov[TG_FRAME_SPANS + 1];
	unsigned n = 0;

	if (t->vnet) {
		tap_vnet_of_frame(&v, f);
		iov[n++] = (struct iovec){&v, sizeof(v)};
	}
	for (uint32_t i = 0; i < f->n_spans; i++) {
		union {
			const void *c;
			void *p;
		} base = {f->span[i].base}; /* writev only reads */

		iov[n++] = (struct iovec){base.p, f->span[i].len};
	}
	return writev(t->fd, iov, (int)n);
}

bool tap_write(struct tap *t, const struct tg_frame *f)
{
	bool flat = f->bytes <= FLAT_BYTES;

	if (t->fd < 0) {
		t->unsent++;
		return true;
	}
	while (t->stats.writes++, (flat ? write_flat(t, f) : write_spans(t, f)) < 0) {
		if (errno == EAGAIN) {
			t->stats.writes_busy++;
			return false;
		}
		if (errno == EINTR)
			continue;
		if (is_big(f) && (errno == ENOBUFS || errno == ENOMEM || errno == EMSGSIZE)) {
			write_smaller(t, f);
			return true;
		}
		refused(t, errno);
		return true;
	}
	t->down = false;
	t->stats.frames_out++;
	t->stats.bytes_out += f->bytes;
	return true;
}
