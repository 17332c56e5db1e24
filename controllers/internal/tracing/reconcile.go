package tracing

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/capmaas/capmaas/proto/correlation"
)

// scope names the instrumentation in spans.
const scope = "github.com/capmaas/capmaas/controllers"

// Reconciler makes a span of each reconcile of the kind.
func Reconciler(kind string, inner reconcile.Reconciler) reconcile.Reconciler { //nolint:ireturn // controller-runtime takes nothing else
	return reconcile.Func(func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
		ctx, span := otel.Tracer(scope).Start(ctx, "Reconcile "+kind, trace.WithAttributes(
			attribute.String("k8s.namespace.name", req.Namespace), attribute.String("capmaas.object.kind", kind), attribute.String("capmaas.object.name", req.Name),
			attribute.String("capmaas.reconcile.id", string(controller.ReconcileIDFromContext(ctx))),
		))
		defer span.End()
		result, err := inner.Reconcile(ctx, req)
		if err != nil {
			// The log has the text, under the reconcile's id.
			span.SetStatus(codes.Error, "the reconcile failed")
		}
		return result, err
	})
}

// About says which object is reconciled: its UID is the correlation id in each line of the log that follows, in the metadata of each call
// of the provisioner, and so in the service's log and in MAAS's.
func About(ctx context.Context, object client.Object) context.Context {
	return With(ctx, string(object.GetUID()))
}

// With is About for an object that is known by its UID alone.
func With(ctx context.Context, id string) context.Context {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("correlation.id", id))
	ctx = ctrl.LoggerInto(ctx, ctrl.LoggerFrom(ctx).WithValues("correlationID", id))
	return correlation.NewContext(ctx, id)
}
