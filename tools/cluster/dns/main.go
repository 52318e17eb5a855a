// Command dns answers pods on a machine that is a node: what a cluster's DNS says of services, and for all other names
// what the machine's own server says. There is no kube-proxy beside it, so a service's addresses are those of its pods.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	domain   = "cluster.local."
	services = ".svc." + domain
	// Seconds. Pods come and go.
	lifetime = 5
)

type server struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	upstream string
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	listen := flag.String("listen", "", "address and port")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	exitOn(err)
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	s := server{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
		upstream: upstream(),
	}
	factory.Start(nil)
	factory.WaitForCacheSync(nil)

	connection, err := net.ListenPacket("udp", *listen)
	exitOn(err)
	for {
		buffer := make([]byte, 4096)
		size, client, err := connection.ReadFrom(buffer)
		exitOn(err)
		go func() {
			if answer := s.answer(buffer[:size]); answer != nil {
				connection.WriteTo(answer, client)
			}
		}()
	}
}

func (s *server) answer(packed []byte) []byte {
	var question dnsmessage.Message
	if question.Unpack(packed) != nil || len(question.Questions) != 1 {
		return nil
	}
	asked := question.Questions[0]
	name := strings.ToLower(asked.Name.String())
	if name != domain && !strings.HasSuffix(name, "."+domain) {
		return s.forward(packed)
	}
	addresses, exists := s.addresses(name)
	answer := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: question.ID, Response: true, Authoritative: true, RecursionDesired: question.RecursionDesired, RecursionAvailable: true,
		},
		Questions: question.Questions,
	}
	if !exists {
		answer.RCode = dnsmessage.RCodeNameError
	} else if asked.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET, TTL: lifetime},
				Body:   &dnsmessage.AResource{A: address},
			})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		log.Printf("%s: %v", name, err)
		return nil
	}
	return packed
}

// addresses returns those of a service's pods that are ready; of a service that selects none, which "kubernetes" is,
// its own.
func (s *server) addresses(name string) ([][4]byte, bool) {
	parts := strings.Split(strings.TrimSuffix(name, services), ".")
	if !strings.HasSuffix(name, services) || len(parts) != 2 {
		return nil, false
	}
	service, err := s.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil, false
	}
	if len(service.Spec.Selector) == 0 {
		return parsed(service.Spec.ClusterIPs), true
	}
	slices, err := s.slices.EndpointSlices(parts[1]).List(labels.Set{"kubernetes.io/service-name": parts[0]}.AsSelector())
	exitOn(err)
	var found []string
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				found = append(found, endpoint.Addresses...)
			}
		}
	}
	return parsed(found), true
}

func (s *server) forward(packed []byte) []byte {
	connection, err := net.DialTimeout("udp", s.upstream, time.Second)
	if err != nil {
		return nil
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	buffer := make([]byte, 65535)
	if _, err := connection.Write(packed); err != nil {
		return nil
	}
	size, err := connection.Read(buffer)
	if err != nil {
		return nil // The client asks again.
	}
	return buffer[:size]
}

func upstream() string {
	text, _ := os.ReadFile("/etc/resolv.conf")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "nameserver" {
			return net.JoinHostPort(fields[1], "53")
		}
	}
	return "127.0.0.1:53"
}

func parsed(addresses []string) [][4]byte {
	var found [][4]byte
	for _, address := range addresses {
		if ip := net.ParseIP(address).To4(); ip != nil {
			found = append(found, [4]byte(ip))
		}
	}
	return found
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
