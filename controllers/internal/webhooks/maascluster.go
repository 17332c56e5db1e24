package webhooks

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// +kubebuilder:webhook:path=/validate-infrastructure-cluster-x-k8s-io-v1beta1-maascluster,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,groups=infrastructure.cluster.x-k8s.io,resources=maasclusters,verbs=create;update,versions=v1beta1,name=vmaascluster.kb.io,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changes","expression":"request.operation != 'UPDATE' || object.?spec != oldObject.?spec"}]}`
// +kubebuilder:webhook:path=/validate-infrastructure-cluster-x-k8s-io-v1beta1-maasclustertemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,groups=infrastructure.cluster.x-k8s.io,resources=maasclustertemplates,verbs=create;update,versions=v1beta1,name=vmaasclustertemplate.kb.io,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changes","expression":"request.operation != 'UPDATE' || object.?spec != oldObject.?spec"}]}`

// MaasCluster is the admission of MaasClusters. Everything that it could default is filled in by the controller, which alone
// knows the Cluster's own wishes.
type MaasCluster struct{}

// ValidateCreate says whether a MaasCluster may be made.
func (*MaasCluster) ValidateCreate(_ context.Context, c *infrav1.MaasCluster) (admission.Warnings, error) {
	return judgeCluster(&c.Spec, field.NewPath("spec")).answer("MaasCluster", c.Name)
}

// ValidateUpdate says whether a MaasCluster may be changed. The endpoint of a cluster that is provisioned is Cluster API's and
// stands in certificates; before that a wrong one may be put right.
func (*MaasCluster) ValidateUpdate(_ context.Context, before, c *infrav1.MaasCluster) (admission.Warnings, error) {
	at := field.NewPath("spec")
	v := judgeCluster(&c.Spec, at).since(judgeCluster(&before.Spec, at))
	if before.Spec.DNSDomain != c.Spec.DNSDomain {
		v.errs = append(v.errs, field.Forbidden(at.Child("dnsDomain"), "cannot be changed: the control plane's name is in it"))
	}
	was, is := before.Spec.ControlPlaneEndpoint, c.Spec.ControlPlaneEndpoint
	if ptr.Deref(before.Status.Initialization.Provisioned, false) && was.IsValid() && was != is {
		v.errs = append(v.errs, field.Forbidden(at.Child("controlPlaneEndpoint"), "cannot be changed once the cluster is provisioned"))
	}
	return v.answer("MaasCluster", c.Name)
}

// ValidateDelete refuses nothing.
func (*MaasCluster) ValidateDelete(context.Context, *infrav1.MaasCluster) (admission.Warnings, error) {
	return nil, nil
}

// MaasClusterTemplate is the admission of MaasClusterTemplates.
type MaasClusterTemplate struct{}

// ValidateCreate says whether a template may be made.
func (*MaasClusterTemplate) ValidateCreate(_ context.Context, t *infrav1.MaasClusterTemplate) (admission.Warnings, error) {
	return judgeClusterTemplate(t).answer("MaasClusterTemplate", t.Name)
}

// ValidateUpdate says whether a template may be changed: what is made from it may not, except in the dry run by which
// Cluster API's topology controller compares templates.
func (*MaasClusterTemplate) ValidateUpdate(ctx context.Context, before, t *infrav1.MaasClusterTemplate) (admission.Warnings, error) {
	if isTopologyDryRun(ctx, t) {
		return nil, nil
	}
	v := judgeClusterTemplate(t).since(judgeClusterTemplate(before))
	if !equality.Semantic.DeepEqual(before.Spec.Template.Spec, t.Spec.Template.Spec) {
		v.errs = append(v.errs, field.Forbidden(field.NewPath("spec", "template", "spec"),
			"cannot be changed: make a new template and name it in the ClusterClass"))
	}
	return v.answer("MaasClusterTemplate", t.Name)
}

// ValidateDelete refuses nothing.
func (*MaasClusterTemplate) ValidateDelete(context.Context, *infrav1.MaasClusterTemplate) (admission.Warnings, error) {
	return nil, nil
}

func judgeClusterTemplate(t *infrav1.MaasClusterTemplate) verdict {
	at := field.NewPath("spec", "template")
	v := judgeCluster(&t.Spec.Template.Spec, at.Child("spec"))
	v.errs = append(v.errs, t.Spec.Template.ObjectMeta.Validate(at.Child("metadata"))...)
	if endpoint := t.Spec.Template.Spec.ControlPlaneEndpoint; endpoint.Host != "" {
		v.warnings = append(v.warnings, at.Child("spec", "controlPlaneEndpoint", "host").String()+
			": every cluster of this template asks for this endpoint; only one can have it")
	}
	return v
}

func judgeCluster(spec *infrav1.MaasClusterSpec, at *field.Path) verdict {
	var v verdict
	if spec.DNSDomain == "" {
		v.errs = append(v.errs, field.Required(at.Child("dnsDomain"), "the MAAS DNS domain of the control plane's record, for example maas"))
	}
	if spec.LXDConfig != nil {
		v.warnings = append(v.warnings, at.Child("lxdConfig").String()+
			": has no effect: this provider does not set machines up as LXD hosts; register them with MAAS as VM hosts")
	}
	return v
}
