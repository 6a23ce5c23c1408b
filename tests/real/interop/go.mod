// The server beside this file, and grpc-go's own client of the interop cases.
module interop

go 1.26

require google.golang.org/grpc v1.85.0

tool google.golang.org/grpc/interop/client
