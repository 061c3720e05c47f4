// gVisor's netstack behind the same device, as the benchmarks' peer: Debian's golang-gvisor-gvisor-dev, its own
// link endpoint (fdbased), one goroutine a connection.
//
//	gvisor_host [-link tap0|packet:IF]
//
// tap0: a TAP made here, frames of the MTU, checksums in software: fdbased offers GSO on sockets only.
// packet:IF: an AF_PACKET socket on the other end of a veth pair, with GSO and checksum offload, which is the
// fastest this version has. TCP: echo 7, discard 9, chargen 19, HTTP 80 (1 KiB, keep-alive).
// UDP: discard 9, its count 5009, datagrams on request 5019 (see ../bench.h).
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/link/tun"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	mtu        = 1500
	gsoMax     = 65536
	bufferMax  = 8 << 20
	chunkBytes = 256 << 10
	floodMagic = 0x74676664
	floodMsMax = 10000
)

var (
	hostAddr  = [4]byte{192, 0, 2, 1}
	stackAddr = tcpip.Address("\xc0\x00\x02\x02")
	sunk      uint64 // datagrams the discard port has had
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func refused(what string, err tcpip.Error) {
	if err != nil {
		log.Fatalf("%s: %s", what, err)
	}
}

// Gives an interface of the host its address and brings it up.
func bringUp(name string) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(err)
	defer unix.Close(s)
	ioctl := func(request uintptr, data []byte) {
		var r [40]byte
		copy(r[:15], name)
		copy(r[16:], data)
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), request, uintptr(unsafe.Pointer(&r[0])))
		if e != 0 {
			log.Fatalf("%s: %v", name, e)
		}
	}
	ioctl(unix.SIOCSIFADDR, append([]byte{unix.AF_INET, 0, 0, 0}, hostAddr[:]...))
	ioctl(unix.SIOCSIFNETMASK, []byte{unix.AF_INET, 0, 0, 0, 255, 255, 255, 0})
	ioctl(unix.SIOCSIFFLAGS, []byte{unix.IFF_UP | unix.IFF_RUNNING, 0})
}

func link(what string) stack.LinkEndpoint {
	o := fdbased.Options{MTU: mtu, EthernetHeader: true, Address: "\x02\x00\x00\x00\x00\x02",
		PacketDispatchMode: fdbased.RecvMMsg}
	if !strings.HasPrefix(what, "packet:") {
		fd, err := tun.OpenTAP(what)
		must(err)
		bringUp(what)
		o.FDs = []int{fd}
	} else {
		i, err := net.InterfaceByName(strings.TrimPrefix(what, "packet:"))
		must(err)
		const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, all)
		must(err)
		must(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
		// Beyond the system's limit only with the privilege; what is granted will do.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferMax) != nil {
			must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferMax))
		}
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferMax) != nil {
			must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bufferMax))
		}
		must(unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}))
		o.FDs = []int{fd}
		o.Address = tcpip.LinkAddress(i.HardwareAddr)
		o.GSOMaxSize = gsoMax
		// Large segments leave with the kernel's checksum all the same; TXChecksumOffload would also be
		// taken for the small ones, whose header then does not say so.
		o.RXChecksumOffload = true
	}
	e, err := fdbased.New(&o)
	must(err)
	return e
}

func newStack(e stack.LinkEndpoint) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{arp.NewProtocol, ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	refused("sack", s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack))
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	refused("moderate", s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate))
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: bufferMax}
	refused("rcvbuf", s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive))
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 1 << 20, Max: bufferMax}
	refused("sndbuf", s.SetTransportProtocolOption(tcp.ProtocolNumber, &send))
	cc := tcpip.CongestionControlOption("cubic")
	refused("cubic", s.SetTransportProtocolOption(tcp.ProtocolNumber, &cc))
	refused("nic", s.CreateNIC(1, e))
	refused("address", s.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: stackAddr, PrefixLen: 24}},
		stack.AddressProperties{}))
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s
}

func listen(s *stack.Stack, port uint16) net.Listener {
	l, err := gonet.ListenTCP(s, tcpip.FullAddress{NIC: 1, Port: port}, ipv4.ProtocolNumber)
	must(err)
	return l
}

func serve(s *stack.Stack, port uint16, each func(net.Conn)) {
	l := listen(s, port)
	go func() {
		for {
			c, err := l.Accept()
			must(err)
			go func() {
				each(c)
				c.Close()
			}()
		}
	}()
}

func echo(c net.Conn) {
	b := make([]byte, 65536)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err = c.Write(b[:n]); err != nil {
			return
		}
	}
}

func discard(c net.Conn) {
	b := make([]byte, chunkBytes)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func chargen(c net.Conn) {
	b := make([]byte, chunkBytes)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// Calls each datagram's function one after another.
func datagrams(s *stack.Stack, port uint16, each func(c *gonet.UDPConn, data []byte, from net.Addr)) {
	c, err := gonet.DialUDP(s, &tcpip.FullAddress{NIC: 1, Port: port}, nil, ipv4.ProtocolNumber)
	must(err)
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(b)
			must(err)
			each(c, b[:n], from)
		}
	}()
}

func flood(c *gonet.UDPConn, ask []byte, to net.Addr) {
	if len(ask) < 12 || binary.LittleEndian.Uint32(ask) != floodMagic {
		return
	}
	ms, size := binary.LittleEndian.Uint32(ask[4:]), binary.LittleEndian.Uint16(ask[8:])
	if ms > floodMsMax {
		return
	}
	b := make([]byte, size)
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end); {
		for i := 0; i < 64; i++ {
			c.WriteTo(b, to)
		}
	}
}

func main() {
	where := flag.String("link", "tap0", "tap0 or packet:IF")
	flag.Parse()
	s := newStack(link(*where))
	serve(s, 7, echo)
	serve(s, 9, discard)
	serve(s, 19, chargen)
	datagrams(s, 9, func(*gonet.UDPConn, []byte, net.Addr) { atomic.AddUint64(&sunk, 1) })
	datagrams(s, 5009, func(c *gonet.UDPConn, _ []byte, from net.Addr) {
		c.WriteTo([]byte(strconv.FormatUint(atomic.LoadUint64(&sunk), 10)), from)
	})
	datagrams(s, 5019, flood)
	page := strings.Repeat("x", 1024)
	fmt.Println("ready")
	must(http.Serve(listen(s, 80), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, page)
	})))
}
