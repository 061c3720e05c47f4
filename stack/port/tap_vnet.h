/* The virtio header in front of a frame <-> the metadata of packets and frames. */
#ifndef TG_PORT_TAP_VNET_H
#define TG_PORT_TAP_VNET_H

#include "tapglass.h"

#include <linux/virtio_net.h>

/* Newer than some headers that we build with. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Sets gso, gso_size and csum of meta for the frame of len bytes. */
void tap_meta_of_vnet(
	struct tg_pkt *meta, const struct virtio_net_hdr *v, const uint8_t *data, uint32_t len);
void tap_vnet_of_frame(struct virtio_net_hdr *v, const struct tg_frame *f);

#endif
