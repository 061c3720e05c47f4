/* A TAP of one's own, for the programs that are compared with the stack: see bench_tap.c. */
#ifndef BENCH_TAP_H
#define BENCH_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define TAP_NAME        "tap0"
#define TAP_HOST        0xc0000201u /* 192.0.2.1, the kernel's end */
#define TAP_STACK       0xc0000202u /* 192.0.2.2 */
#define TAP_MTU         1500u
#define TAP_VNET_BYTES  10u
#define TAP_FRAME_BYTES 65600u

/* Makes TAP_NAME with the host's address and brings it up. offloads: with virtio headers, TSO and
 * checksum offload both ways. The descriptor does not block; -1: said why on stderr. */
int tap_open(bool offloads);

/* Waits for something to read, but polls for busy_us after active_ns first. False: nothing yet. */
bool tap_wait(int fd, uint64_t busy_us, uint64_t active_ns, int timeout_ms);

/* --plain and --busy US into the two; false: anything else. */
bool tap_options(int argc, char **argv, bool *plain, uint64_t *busy_us);
#endif
