package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// inherit lets the existing provider deploy machines, in peace: with our user, without an agent name and without a mark. Their
// objects are taken over once they are made.
func (w *world) inherit(ctx context.Context, lives []*life) error {
	for _, l := range lives {
		if !l.inherited {
			continue
		}
		if err := w.deployTheirs(l); err != nil {
			return fmt.Errorf("deploy %s as the existing provider: %w", l.name, err)
		}
		err := w.until(ctx, func() (bool, error) {
			m, ok := w.sim.Machine(l.systemID)
			return ok && m.Status == "deployed", nil
		})
		if err != nil {
			return fmt.Errorf("wait for %s, which the existing provider deploys: %w", l.name, err)
		}
	}
	return nil
}

func (w *world) deployTheirs(l *life) error {
	body, err := w.command("machines/?op=allocate", url.Values{"not_pod_type": {"lxd", "virsh"}})
	if err != nil {
		return err
	}
	var machine struct {
		SystemID string `json:"system_id"` //nolint:tagliatelle // MAAS's
		Zone     struct {
			Name string `json:"name"`
		} `json:"zone"`
	}
	if err := json.Unmarshal(body, &machine); err != nil {
		return fmt.Errorf("read the answer of allocate: %w", err)
	}
	l.systemID, l.providerID = machine.SystemID, fmt.Sprintf("maas:///%s/%s", machine.Zone.Name, machine.SystemID)
	_, err = w.command("machines/"+l.systemID+"/?op=deploy", url.Values{"distro_series": {"jammy"}})
	return err
}

// keepTheirs gives the object of an inherited machine the finalizer that the existing provider has put there: without it nobody
// would hear of an object that is deleted before we have seen it.
func (l *life) keepTheirs(ctx context.Context) error {
	patch := fmt.Appendf(nil, `{"metadata":{"finalizers":[%q]}}`, infrav1.MachineFinalizer)
	m := &infrav1.MaasMachine{ObjectMeta: metav1.ObjectMeta{Namespace: l.world.namespace, Name: l.name}}
	if err := l.world.client.Patch(ctx, m, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("put the finalizer on %s: %w", l.name, err)
	}
	return nil
}

// command has MAAS do something with our key, past the gates.
func (w *world) command(path string, form url.Values) ([]byte, error) {
	status, body := w.alice.askAs(w.sim.APIKey(), http.MethodPost, path, form)
	if status != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", path, status, body)
	}
	return body, nil
}
