package output

import "strconv"

// mibPerGiB is how many MiB a GiB has.
const mibPerGiB = 1024

// GiB writes MiB as GiB, with one digit behind the point where it takes one.
func GiB(mib int64) string {
	if mib%mibPerGiB == 0 {
		return strconv.FormatInt(mib/mibPerGiB, 10) + " GiB"
	}
	return strconv.FormatFloat(float64(mib)/mibPerGiB, 'f', 1, 64) + " GiB"
}

// Size writes what a VM has.
func Size(cores int32, memoryMiB, diskGB int64) string {
	return strconv.Itoa(int(cores)) + " cores, " + GiB(memoryMiB) + ", " + strconv.FormatInt(diskGB, 10) + " GB"
}
