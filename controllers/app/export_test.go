package app

// DiagnosticsOf is how metrics are served.
var DiagnosticsOf = diagnosticsOf
