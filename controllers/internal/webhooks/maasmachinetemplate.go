package webhooks

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/cluster-api/util/topology"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// +kubebuilder:webhook:path=/validate-infrastructure-cluster-x-k8s-io-v1beta1-maasmachinetemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,groups=infrastructure.cluster.x-k8s.io,resources=maasmachinetemplates,verbs=create;update,versions=v1beta1,name=vmaasmachinetemplate.kb.io,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changes","expression":"request.operation != 'UPDATE' || object.?spec != oldObject.?spec"}]}`

// MaasMachineTemplate is the admission of MaasMachineTemplates. It gives no defaults: what a template leaves open may be
// patched by a ClusterClass, and MaasMachines get their defaults themselves.
type MaasMachineTemplate struct{}

// ValidateCreate says whether a template may be made.
func (*MaasMachineTemplate) ValidateCreate(_ context.Context, t *infrav1.MaasMachineTemplate) (admission.Warnings, error) {
	return judgeTemplate(t).answer("MaasMachineTemplate", t.Name)
}

// ValidateUpdate says whether a template may be changed. Refused is what makes machines of one template differ in size, image
// or placement; of the rest the user is told that machines which exist keep what they have. The dry run by which Cluster
// API's topology controller compares templates passes.
func (*MaasMachineTemplate) ValidateUpdate(ctx context.Context, before, t *infrav1.MaasMachineTemplate) (admission.Warnings, error) {
	if isTopologyDryRun(ctx, t) {
		return nil, nil
	}
	v := judgeTemplate(t).since(judgeTemplate(before))
	at := field.NewPath("spec", "template", "spec")
	was, is := &before.Spec.Template.Spec, &t.Spec.Template.Spec
	for _, path := range changed(was, is, at, fixedParts, lxdConfigPart) {
		v.errs = append(v.errs, field.Forbidden(path, "cannot be changed: make a new template and name it where this one is named"))
	}
	for _, path := range changed(was, is, at, modePart, looseParts) {
		v.warnings = append(v.warnings, fmt.Sprintf("%s: machines that exist keep what they were made from; a new template would roll them out anew", path))
	}
	return v.answer("MaasMachineTemplate", t.Name)
}

// ValidateDelete refuses nothing.
func (*MaasMachineTemplate) ValidateDelete(context.Context, *infrav1.MaasMachineTemplate) (admission.Warnings, error) {
	return nil, nil
}

func judgeTemplate(t *infrav1.MaasMachineTemplate) verdict {
	at := field.NewPath("spec", "template")
	spec := &t.Spec.Template.Spec
	v := verdict{errs: checkSpec(spec, at.Child("spec")), warnings: unheard(spec, at.Child("spec"))}
	v.errs = append(v.errs, t.Spec.Template.ObjectMeta.Validate(at.Child("metadata"))...)
	if address := addressOf(spec); address.IsValid() {
		v.warnings = append(v.warnings, fmt.Sprintf("%s: every machine of this template asks for the address %s; only one can have it", at.Child("spec"), address))
	}
	return v
}

// isTopologyDryRun says whether Cluster API's topology controller only asks what the object would become.
func isTopologyDryRun(ctx context.Context, o metav1.Object) bool {
	request, err := admission.RequestFromContext(ctx)
	return err == nil && topology.IsDryRunRequest(request, o)
}
