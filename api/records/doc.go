// Package records reads and writes what the provider keeps in annotations: the attempts of a MaasMachine, and of a MaasCluster
// the VMs that are still to be deleted, those that were given up and those that somebody asks to be deleted. The manager goes by
// them; who else writes them does so with optimistic lock, to an object that was read uncached.
package records

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// read decodes the list that an annotation holds; none where it holds nothing.
func read[T any](o metav1.Object, annotation string) ([]T, error) {
	text := o.GetAnnotations()[annotation]
	if text == "" {
		return nil, nil
	}
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decode annotation %s of %s/%s: %w", annotation, o.GetNamespace(), o.GetName(), err)
	}
	return all, nil
}

// write encodes the list into the annotation. An empty list stays there as such.
func write[T any](o metav1.Object, annotation string, all []T) error {
	text, err := encode(all)
	if err != nil {
		return fmt.Errorf("encode annotation %s of %s/%s: %w", annotation, o.GetNamespace(), o.GetName(), err)
	}
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotation] = text
	o.SetAnnotations(annotations)
	return nil
}

func encode[T any](all []T) (string, error) {
	if all == nil {
		all = []T{}
	}
	text, err := json.Marshal(all)
	return string(text), err
}
