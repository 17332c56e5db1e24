// Package traces says whether traces are wanted, and of which calls: what the two ends of the contract must agree on. It
// makes none itself (docs/tracing.md).
package traces

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/stats"
)

const (
	endpointName       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointName = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocolName       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocolName = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	exporterName       = "OTEL_TRACES_EXPORTER"
	disabledName       = "OTEL_SDK_DISABLED"
)

// Wanted says whether OpenTelemetry's standard environment variables name where spans go and don't disable them. An
// exporter or a protocol that is not supported is an error that names the variable.
func Wanted(getenv func(string) string) (bool, error) {
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if value := strings.TrimSpace(getenv(name)); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	_, endpoint := first(tracesEndpointName, endpointName)
	_, exporter := first(exporterName)
	if endpoint == "" || exporter == "none" || strings.EqualFold(strings.TrimSpace(getenv(disabledName)), "true") {
		return false, nil
	}
	if exporter != "" && exporter != "otlp" {
		return false, fmt.Errorf("%s: %q is neither otlp nor none", exporterName, exporter)
	}
	if name, protocol := first(tracesProtocolName, protocolName); protocol != "" && protocol != "grpc" {
		return false, fmt.Errorf("%s: %q is not supported, grpc is", name, protocol)
	}
	return true, nil
}

// Followed says whether a call has a span: streams have none, since they last for hours, and neither has what is no part
// of the contract, such as health checks every few seconds.
func Followed(call *stats.RPCTagInfo) bool {
	return !strings.HasPrefix(call.FullMethodName, "/grpc.") && !strings.Contains(call.FullMethodName, "/Watch")
}
