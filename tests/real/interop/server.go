// gRPC's interop service by grpc-go, on two loopback ports.
//
// server PORT TLS-PORT CERTIFICATE KEY
package main

import (
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testing "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	certificate, err := credentials.NewServerTLSFromFile(os.Args[3], os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	go serve(os.Args[1], insecure.NewCredentials())
	serve(os.Args[2], certificate)
}

func serve(port string, credentials credentials.TransportCredentials) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials))
	testing.RegisterTestServiceServer(server, interop.NewTestServer())
	log.Fatal(server.Serve(listener))
}
