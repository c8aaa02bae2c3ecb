//go:build !linux

// Command backend runs a command with the product on another backend, on Linux.
package main

import "fmt"

func main() {
	fmt.Println("LEFT OUT: other backends, which are tried on Linux")
}
